package pool_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/patterns/pool"
	"github.com/troupe-mq/troupe/test/harness"
)

func TestMain(m *testing.M) {
	harness.Roles(map[string]harness.Role{"member": member})
	goleak.VerifyTestMain(m)
}

// silence is the limit of all members here.
const silence = 600 * time.Millisecond

// member is a process in a pool. It says when it is asked, and answers "wait" when it is told to.
func member(ctx context.Context, s *harness.Stage) error {
	var cfg pool.Config
	if err := s.Config(&cfg); err != nil {
		return err
	}
	told := make(chan struct{})
	trap := &trap{Handler: slog.NewJSONHandler(os.Stderr, nil)}
	cfg.Logger = slog.New(trap)
	cfg.Handler = func(ctx context.Context, q *pool.Query) ([]byte, error) {
		s.Say("asked %s", q.ID())
		if string(q.Body()) == "wait" {
			q.Send([]byte("I am "))
			select {
			case <-told:
			case <-ctx.Done():
			}
		}
		return []byte(cfg.Name), nil
	}
	m, err := pool.Join(ctx, cfg)
	if err != nil {
		return err
	}
	s.Say("joined %s", m.ID())
	for {
		select {
		case line := <-s.Heard():
			switch line {
			case "answer":
				close(told)
			case "hang":
				trap.set()
			}
		case <-ctx.Done():
			return m.Close(context.WithoutCancel(ctx))
		}
	}
}

// trap makes whoever logs next run in circles for ever: in a member, that is the loop.
type trap struct {
	slog.Handler
	mu  sync.Mutex
	hot bool
}

func (t *trap) set() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hot = true
}

func (t *trap) Handle(ctx context.Context, r slog.Record) error {
	t.mu.Lock()
	hot := t.hot
	t.mu.Unlock()
	for hot && r.Message == "verdict" {
		continue // no lock, no memory, no way out
	}
	return t.Handler.Handle(ctx, r)
}

// crew is the members of a host, and a guest who asks.
type crew struct {
	t       *testing.T
	dir     string
	members []*actor
	guest   *pool.Member
}

type actor struct {
	*harness.Process
	id    string
	asked chan string
	over  chan struct{}
}

// newCrew starts members one after the other; the first is master.
func newCrew(t *testing.T, n int, change func(i int, c *pool.Config)) *crew {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pool") //nolint:usetesting // t.TempDir's path may be too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c := &crew{t: t, dir: dir}
	for i := range n {
		c.join(i, change)
	}
	patient := c.config("guest")
	patient.Silence = 5 * silence // on a busy machine the members may abstain for a while before they agree about their master
	c.guest, err = pool.Dial(harness.Context(t), patient)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
		defer cancel()
		require.NoError(t, c.guest.Close(ctx))
	})
	return c
}

func (c *crew) config(name string) pool.Config {
	return pool.Config{Pool: "p", Name: name, RunDir: c.dir, HostName: "here", Silence: silence, Logger: slog.New(slog.DiscardHandler)}
}

func (c *crew) join(i int, change func(i int, c *pool.Config)) *actor {
	cfg := c.config(fmt.Sprint("m", i))
	if change != nil {
		change(i, &cfg)
	}
	cfg.Logger = nil
	a := &actor{Process: harness.Spawn(c.t, cfg.Name, "", "member", cfg), asked: make(chan string, 100), over: make(chan struct{})}
	a.id = a.Await("joined ")
	go func() {
		defer close(a.over)
		for {
			line, err := a.Line(context.Background())
			if err != nil {
				return
			}
			if q, ok := strings.CutPrefix(line, "asked "); ok {
				a.asked <- q
			}
		}
	}()
	c.t.Cleanup(func() { a.Kill(); <-a.over })
	c.members = append(c.members, a)
	return a
}

// sees waits until the guest sees so many members that nothing is held against.
func (c *crew) sees(n int) {
	c.t.Helper()
	harness.Until(c.t, fmt.Sprintf("the guest sees %d members", n), func() bool {
		s, err := c.guest.Status(harness.Context(c.t))
		require.NoError(c.t, err)
		well := 0
		for _, h := range s.View.Hosts {
			for _, m := range h.Members {
				if m.Verdict == "" && h.Reach.Verdict == "" {
					well++
				}
			}
		}
		return well == n
	})
}

// begin asks everybody, and returns when all have begun to answer.
func (c *crew) begin(of ...*actor) *pool.Question {
	c.t.Helper()
	q := c.guest.Ask(harness.Context(c.t), []byte("wait"), pool.Options{})
	for _, a := range of {
		harness.Receive(c.t, a.asked, a.Name()+" to be asked")
	}
	return q
}

// end lets members answer and compares the ledger with the processes that were started: each by its pid, in the state that is expected, and asked once.
func (c *crew) end(q *pool.Question, want map[*actor]string) pool.Ledger {
	c.t.Helper()
	for a, state := range want {
		if state == "answered" {
			a.Say("answer")
		}
	}
	answers, book, err := q.Collect()
	require.NoError(c.t, err)
	require.True(c.t, book.Complete)
	got, pids := make(map[int]string), make(map[int]string)
	for _, e := range book.Entries {
		got[e.PID] = strings.TrimSpace(e.State + " " + e.Verdict)
	}
	for a, state := range want {
		if pids[a.PID()] = state; state == "lost KILLED" && got[a.PID()] == "lost GONE" {
			pids[a.PID()] = "lost GONE" // the new master has seen it end before it was told who had done that
		}
	}
	require.Equal(c.t, pids, got)
	for a, state := range want {
		require.Empty(c.t, a.asked, "%s is asked twice", a.Name())
		if state == "answered" {
			require.Equal(c.t, "I am "+a.Name(), string(answers[a.id]))
		}
	}
	return book
}

// master returns who is master of the host, and in which term, as the living see it.
func (c *crew) master() (id string, term uint64) {
	c.t.Helper()
	s, err := c.guest.Status(harness.Context(c.t))
	require.NoError(c.t, err)
	return s.Master.String(), s.Term
}
