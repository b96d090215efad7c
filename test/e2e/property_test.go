package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// TestWhateverHappens lets eight clients do random things while worker processes are killed and hits are ended by an operator, and requires of every call:
// it ends once, in a reply or in a typed error; the calls of a hit run in order; a call with a reply has run exactly once, one that never started has not
// run, and one with an unknown outcome at most once. In the end all slots are free.
func TestWhateverHappens(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	site := rig.NewSite(t, rig.TCP)
	b := site.Broker(func(c *assigner.BrokerConfig) { c.MaxCalls, c.MaxQueue = 6, 20 })
	f := &fair{site: site, broker: b, journal: filepath.Join(t.TempDir(), "journal"), outcomes: make(map[string]outcome)}
	ctx := rig.Context(t)
	const clients, workers, slots = 8, 3, 4
	operations := 400
	if testing.Short() {
		operations = 100
	}
	var processes [workers]*rig.Process
	for i := range processes {
		processes[i] = f.worker(t, i, slots)
	}
	var wg sync.WaitGroup
	for i := range uint64(clients) {
		wg.Go(func() { newVisitor(f, i, rand.New(rand.NewPCG(seed, i))).stroll(ctx, operations) })
	}
	chance := rand.New(rand.NewPCG(seed, clients))
	for done := int64(0); done < int64(clients*operations); done += 300 {
		rig.Until(t, "the clients have done more", func() bool { return f.done.Load() >= done })
		victim := chance.IntN(workers)
		processes[victim].Kill()
		processes[victim] = f.worker(t, victim, slots)
	}
	wg.Wait()
	require.Empty(t, f.wrong, "seed %d", seed)
	f.audit(t)
	rig.Until(t, "all hits have ended, and no open waits", func() bool { return f.quiet(t, ctx) })
	for _, p := range processes {
		rig.Until(t, "all slots of the worker are free", func() bool { p.Say("busy"); return p.Await("busy ") == "0" })
	}
}

// fair is where the random things happen.
type fair struct {
	site    *rig.Site
	broker  *assigner.Broker
	journal string
	done    atomic.Int64 // operations

	mu       sync.Mutex
	outcomes map[string]outcome // of calls, by their bodies, which are unique
	wrong    []string
}

// outcome is what a caller was told.
type outcome struct {
	replied bool
	what    assigner.Outcome
}

func (f *fair) worker(t *testing.T, i, slots int) *rig.Process {
	t.Helper()
	p := rig.Spawn(t, "worker", workerConfig{Broker: f.site.Workers, Name: fmt.Sprint("w", i), Slots: slots, Journal: f.journal})
	p.Await("registered")
	return p
}

func (f *fair) blame(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wrong = append(f.wrong, fmt.Sprintf(format, args...))
}

// note takes what a caller was told, which must be one of the errors that there are.
func (f *fair) note(body string, err error) {
	o := outcome{replied: err == nil}
	if err != nil {
		o.what = f.typed(body, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.outcomes[body] = o
}

// typed requires that an error is one that a caller can branch on here, and returns its outcome.
func (f *fair) typed(what string, err error) assigner.Outcome {
	var e *assigner.Error
	if !errors.As(err, &e) || e.Text == "" {
		f.blame("%s: an error that is no *Error, or says nothing: %v", what, err)
		return assigner.Unknown
	}
	for _, kind := range []error{
		assigner.ErrWorkerGone, assigner.ErrClosed, assigner.ErrKilled, assigner.ErrExpired, assigner.ErrCancelled,
		assigner.ErrQueueFull,
	} {
		if errors.Is(err, kind) {
			return e.Outcome
		}
	}
	f.blame("%s: an error that should not be here: %v", what, err)
	return e.Outcome
}

// audit holds the callers' outcomes against what has run.
func (f *fair) audit(t *testing.T) {
	t.Helper()
	ran, err := readJournal(f.journal)
	require.NoError(t, err)
	counts := make(map[string]int)
	for body, o := range f.outcomes {
		n, least, most := ran[body], 0, 1
		switch {
		case o.replied:
			least = 1
		case o.what == assigner.NeverStarted:
			most = 0
		}
		require.True(t, least <= n && n <= most, "call %s: told %+v, and has run %d times", body, o, n)
		counts[fmt.Sprintf("replied %t, %v", o.replied, o.what)]++
		delete(ran, body)
	}
	require.Empty(t, ran, "nothing has run that nobody asked for")
	t.Logf("%d calls: %v", len(f.outcomes), counts)
}

func (f *fair) quiet(t *testing.T, ctx context.Context) bool {
	t.Helper()
	answer, err := f.broker.Administer(ctx, machine.AdminRequest{Cmd: "status"})
	require.NoError(t, err)
	s, ok := answer.(machine.StatusReport)
	require.True(t, ok, "%v", answer)
	used, waiting := 0, 0
	for _, row := range s.Services {
		used, waiting = used+row.Used, waiting+row.Waiting
	}
	return s.Hits == 0 && used == 0 && waiting == 0
}
