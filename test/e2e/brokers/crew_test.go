package brokers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
	"github.com/troupe-mq/troupe/test/e2e/internal/tls"
)

// crew watches the threads of one worker from within, whichever brokers the hits are of: no thread may have two of them, and no call may run on another
// thread than the opening.
type crew struct {
	mu      sync.Mutex
	on      map[int]uint64 // hit by thread
	account account
}

// account is what a crew has seen. The Python worker of these tests gives the same.
type account struct {
	Open   int    // hits at present
	Most   int    // hits at the same time, at most
	Opened int    // hits in all
	Broken string // the first promise that was not kept
}

func newCrew() *crew { return &crew{on: make(map[int]uint64)} }

func (c *crew) service() assigner.Service { return assigner.Service{Open: c.open} }

// blame notes a broken promise. The lock is held.
func (c *crew) blame(format string, args ...any) {
	if c.account.Broken == "" {
		c.account.Broken = fmt.Sprintf(format, args...)
	}
}

func (c *crew) open(_ context.Context, o *assigner.Opening) (assigner.Session, error) {
	b := &berth{c, o.Hit, tls.Thread()}
	c.mu.Lock()
	defer c.mu.Unlock()
	if other, taken := c.on[b.thread]; taken {
		c.blame("hit %x was opened on thread %d, which hit %x has", b.hit, b.thread, other)
	}
	c.on[b.thread] = b.hit
	c.account.Opened++
	c.account.Open++
	c.account.Most = max(c.account.Most, c.account.Open)
	return b, nil
}

// berth is one session.
type berth struct {
	crew   *crew
	hit    uint64
	thread int
}

// Call is assigner.Session's: it answers with the body and the thread.
func (b *berth) Call(_ context.Context, c *assigner.Call) ([]byte, error) {
	b.check("a call")
	return fmt.Appendf(nil, "%s %d", c.Body(), b.thread), nil
}

// Close is assigner.Session's.
func (b *berth) Close() error {
	b.check("the close")
	b.crew.mu.Lock()
	defer b.crew.mu.Unlock()
	delete(b.crew.on, b.thread)
	b.crew.account.Open--
	return nil
}

func (b *berth) check(when string) {
	b.crew.mu.Lock()
	defer b.crew.mu.Unlock()
	if now := tls.Thread(); now != b.thread || b.crew.on[now] != b.hit {
		b.crew.blame("%s of hit %x ran on thread %d, which hit %x has; it was opened on %d", when, b.hit, now, b.crew.on[now], b.thread)
	}
}

// crewConfig is what a worker process is told.
type crewConfig struct {
	Brokers         []string
	Name            string
	Slots, MaxSlots int
	SlotIdle        time.Duration
}

// workerRole runs a worker with a crew. "tell" tells the account, "drain" drains the worker.
func workerRole(ctx context.Context, stage *rig.Stage) error {
	var cfg crewConfig
	if err := stage.Config(&cfg); err != nil {
		return err
	}
	c := newCrew()
	w, err := assigner.NewWorker(assigner.WorkerConfig{
		Brokers: cfg.Brokers, Name: cfg.Name, Slots: cfg.Slots, MaxSlots: cfg.MaxSlots, SlotIdle: cfg.SlotIdle, Services: rig.Services{"berth": c.service()},
	})
	if err != nil {
		return err
	}
	go func() {
		<-w.Welcomed()
		stage.Say("registered")
		for line := range stage.Heard() {
			switch line {
			case "tell":
				c.mu.Lock()
				told, _ := json.Marshal(c.account)
				c.mu.Unlock()
				stage.Say("told %s", told)
			case "drain":
				go func() {
					if w.Drain(ctx) == nil {
						stage.Say("drained")
					}
				}()
			}
		}
	}()
	return w.Serve(ctx)
}

// shared is a worker process, in Go or in Python, that serves several brokers with one set of slots.
type shared struct{ *rig.Process }

func goWorker(t *testing.T, cfg crewConfig) shared {
	t.Helper()
	p := rig.Spawn(t, "worker", cfg)
	p.Await("registered")
	return shared{p}
}

func pythonWorker(t *testing.T, cfg crewConfig) shared {
	t.Helper()
	text, err := json.Marshal(cfg)
	require.NoError(t, err)
	p := rig.Python(t, "testdata/crew.py", string(text))
	p.Await("registered")
	return shared{p}
}

// told asks the crew for its account, and requires that all promises were kept.
func (s shared) told(t *testing.T) (a account) {
	t.Helper()
	s.Say("tell")
	require.NoError(t, json.Unmarshal([]byte(s.Await("told ")), &a))
	require.Empty(t, a.Broken)
	return a
}
