package host_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/host"
	"github.com/troupe-mq/troupe/supervision"
)

// ticker is virtual time for a watchdog.
type ticker struct {
	mu   sync.Mutex
	now  time.Time
	at   time.Time
	next func()
}

func (c *ticker) clock() supervision.Clock {
	return supervision.Clock{
		Now: func() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now },
		After: func(d time.Duration, f func()) func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.at, c.next = c.now.Add(d), f
			return func() { c.mu.Lock(); defer c.mu.Unlock(); c.next = nil }
		},
	}
}

// pass lets time pass, with all the looks that fall into it, or with a single one at its end: then the watchdog was late.
func (c *ticker) pass(d time.Duration, late bool) {
	c.mu.Lock()
	end := c.now.Add(d)
	for {
		if late {
			c.now = end
		}
		f := c.next
		if f == nil || c.at.After(end) {
			break
		}
		c.now, c.next = max2(c.now, c.at), nil
		c.mu.Unlock()
		f()
		c.mu.Lock()
	}
	c.now = end
	c.mu.Unlock()
}

func max2(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// hang is a message that does not return before the channel is closed, then answers.
type hang struct {
	inside, release chan struct{}
	to              *actor.PID
}

func hangInside(ctx actor.Context, m *hang) {
	close(m.inside)
	<-m.release
	ctx.Send(m.to, "from the grave")
}

// watchedTree has one child, x, with a limit of 10 s.
func watchedTree(t *testing.T, system *actor.ActorSystem, w *supervision.Watchdog) *supervision.Tree {
	mailbox := host.Mailbox(host.MailboxConfig{Clock: host.Monotonic})
	tree, err := supervision.Start(t.Context(), system, supervision.Spec{
		Name: "root", Stamps: host.Stamps, Watchdog: w, ChildOptions: []actor.PropsOption{actor.WithMailbox(mailbox)},
		Backoff: supervision.Backoff{Min: 1, Max: 1}, Intensity: supervision.Intensity{Restarts: 100, Window: time.Minute},
		Children: []supervision.ChildSpec{{ID: "x", Limit: 10 * time.Second, Start: func() actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				switch m := ctx.Message().(type) {
				case *hang:
					hangInside(ctx, m)
				case *question:
					ctx.Respond("alive")
				}
			})
		}}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tree.Stop(context.Background())) })
	return tree
}

// replaced waits until x runs as somebody else than old.
func replaced(t *testing.T, tree *supervision.Tree, old *actor.PID) supervision.Status {
	for {
		st, err := tree.List(t.Context())
		require.NoError(t, err)
		if x := st.Children[0]; x.State == supervision.StateRunning && !x.PID.Equal(old) {
			return x
		}
	}
}

func TestAHungActorIsAbandonedAndReplaced(t *testing.T) {
	system := newSystem(t)
	c := &ticker{now: time.Unix(1000, 0)}
	stuck := make(chan supervision.Hung, 10)
	w := supervision.NewWatchdog(supervision.WatchdogConfig{Clock: c.clock(), OnStuck: func(h supervision.Hung) { stuck <- h }, Logger: slog.New(slog.DiscardHandler)})
	defer w.Close()
	heard := make(chan any, 10)
	ear := system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		if s, ok := ctx.Message().(string); ok {
			heard <- s
		}
	}))
	tree := watchedTree(t, system, w)
	st, err := tree.List(t.Context())
	require.NoError(t, err)
	zombie := st.Children[0].PID
	m := &hang{make(chan struct{}), make(chan struct{}), ear}
	system.Root.Send(zombie, m)
	<-m.inside

	c.pass(time.Second, false)
	c.pass(time.Hour, true) // the watchdog itself stood still
	c.pass(8*time.Second, false)
	require.Empty(t, stuck, "no verdict on evidence gathered while nobody looked")
	c.pass(4*time.Second, false)
	h := <-stuck
	require.Equal(t, zombie.Id, h.Path)
	require.Equal(t, "*host_test.hang", h.Message)
	require.Contains(t, string(h.Stack), "host_test.hangInside")
	require.InDelta(t, 10*time.Second, h.After, float64(time.Second))

	x := replaced(t, tree, zombie)
	require.IsType(t, supervision.Hung{}, x.Last)
	answer, err := system.Root.RequestFuture(x.PID, &question{}, time.Minute).Result()
	require.NoError(t, err)
	require.Equal(t, "alive", answer)
	live, _ := w.Zombies()
	require.Equal(t, 1, live)

	close(m.release)
	for live > 0 {
		live, _ = w.Zombies()
	}
	_, worst := w.Zombies()
	require.Equal(t, 1, worst)
	system.Root.Send(ear, "the living")
	require.Equal(t, "the living", <-heard, "what the zombie said goes nowhere")
	require.NoError(t, system.Root.StopFuture(ear).Wait())
}

func TestTooManyZombiesEndTheProcess(t *testing.T) {
	system := newSystem(t)
	c := &ticker{now: time.Unix(1000, 0)}
	ended := make(chan int, 10)
	w := supervision.NewWatchdog(supervision.WatchdogConfig{
		Clock: c.clock(), MaxZombies: 2, Logger: slog.New(slog.DiscardHandler), Exit: func(code int) { ended <- code },
	})
	defer w.Close()
	tree := watchedTree(t, system, w)
	release := make(chan struct{})
	defer close(release)
	var old *actor.PID
	for range 3 {
		require.Empty(t, ended)
		x := replaced(t, tree, old)
		old = x.PID
		m := &hang{make(chan struct{}), release, old}
		system.Root.Send(old, m)
		<-m.inside
		c.pass(12*time.Second, false)
	}
	require.Equal(t, supervision.ExitStuck, <-ended)
}
