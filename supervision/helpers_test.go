package supervision_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/supervision"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is a safety net only: no test waits for it to pass.
const patience = 30 * time.Second

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func newSystem() *actor.ActorSystem {
	return actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }),
		// The throttle keeps a goroutine for this long after a dead letter.
		actor.WithDeadLetterThrottleInterval(time.Nanosecond),
	)
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// receive waits for the next value of c.
func receive[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		require.FailNow(t, "nothing came", what)
		panic("unreachable")
	}
}

// clock is virtual time: it only moves when a test says so.
type clock struct {
	mu     sync.Mutex
	now    time.Time
	timers map[*timer]bool
	change chan struct{} // something was set
}

type timer struct {
	at time.Time
	f  func()
}

func newClock() *clock {
	return &clock{now: time.Unix(1_000_000, 0), timers: map[*timer]bool{}, change: make(chan struct{}, 1)}
}

func (c *clock) spec() supervision.Clock { return supervision.Clock{Now: c.Now, After: c.After} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) After(d time.Duration, f func()) func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &timer{c.now.Add(d), f}
	c.timers[t] = true
	select {
	case c.change <- struct{}{}:
	default:
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.timers, t)
	}
}

// advance moves time by d and calls what is due.
func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	var due []func()
	for t := range c.timers {
		if !t.at.After(c.now) {
			due = append(due, t.f)
			delete(c.timers, t)
		}
	}
	c.mu.Unlock()
	for _, f := range due {
		f()
	}
}

// ring waits until a timer is set, moves time to the earliest, and returns by
// how much that was.
func (c *clock) ring(t testing.TB) time.Duration {
	t.Helper()
	for {
		if d, ok := c.first(); ok {
			c.advance(d)
			return d
		}
		receive(t, c.change, "a timer")
	}
}

func (c *clock) first() (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var first time.Time
	for t := range c.timers {
		if first.IsZero() || t.at.Before(first) {
			first = t.at
		}
	}
	return max(0, first.Sub(c.now)), !first.IsZero()
}

// await waits until exactly these timers are set, given from now.
func (c *clock) await(t testing.TB, want ...time.Duration) {
	t.Helper()
	for !slices.Equal(want, c.pending()) {
		select {
		case <-c.change:
		case <-time.After(patience):
			require.Equal(t, want, c.pending(), "timers")
		}
	}
}

func (c *clock) pending() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []time.Duration
	for t := range c.timers {
		all = append(all, t.at.Sub(c.now))
	}
	slices.Sort(all)
	return all
}

// diary is what happened, in order.
type diary struct{ lines chan string }

func newDiary() *diary { return &diary{make(chan string, 1000)} }

func (d *diary) write(format string, args ...any) { d.lines <- fmt.Sprintf(format, args...) }

func (d *diary) next(t testing.TB) string {
	t.Helper()
	return receive(t, d.lines, "a line in the diary")
}

// rest returns what was written so far.
func (d *diary) rest() []string {
	var lines []string
	for {
		select {
		case l := <-d.lines:
			lines = append(lines, l)
		default:
			return lines
		}
	}
}

// writer returns the Start of an actor that notes its life in the diary, and
// runs a func(actor.Context) sent to it.
func (d *diary) writer(name string) func() actor.Actor {
	return func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *actor.Started:
				d.write("%s started", name)
			case *actor.Stopped:
				d.write("%s stopped", name)
			case func(actor.Context):
				m(ctx)
			}
		})
	}
}

// obedient runs a func(actor.Context) sent to it and nothing else.
func obedient() actor.Actor {
	return actor.ReceiveFunc(func(ctx actor.Context) {
		if do, ok := ctx.Message().(func(actor.Context)); ok {
			do(ctx)
		}
	})
}

func do(f func(actor.Context)) func(actor.Context) { return f }

func boom(actor.Context) { panic("boom") }

func child(id string, restart supervision.Restart) supervision.ChildSpec {
	return supervision.ChildSpec{ID: id, Start: obedient, Restart: restart}
}

// exits collects the ends of a supervisor's children.
type exits chan supervision.Exited

func newExits() exits { return make(exits, 1000) }

func (e exits) hook(x supervision.Exited) { e <- x }

// inbox is an actor outside of the tree which hands on all user messages.
func inbox(t testing.TB, system *actor.ActorSystem) (*actor.PID, <-chan any) {
	c := make(chan any, 1000)
	pid := system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *actor.Started, *actor.Stopping, *actor.Stopped:
		default:
			c <- m
		}
	}))
	t.Cleanup(func() { require.NoError(t, system.Root.StopFuture(pid).Wait()) })
	return pid, c
}

func start(t testing.TB, system *actor.ActorSystem, spec supervision.Spec) *supervision.Tree {
	t.Helper()
	tree, err := supervision.Start(testContext(t), system, spec)
	require.NoError(t, err)
	return tree
}

func stop(t testing.TB, tree *supervision.Tree) {
	t.Helper()
	require.NoError(t, tree.Stop(testContext(t)))
	<-tree.Done()
}

// flush waits until the supervisor has handled all messages sent so far. (What
// Tree asks does not wait behind messages.) It returns the children of then.
func flush(t testing.TB, system *actor.ActorSystem, supervisor *actor.PID) []supervision.Status {
	t.Helper()
	answer, err := system.Root.RequestFuture(supervisor, &supervision.List{}, patience).Result()
	require.NoError(t, err)
	listing, ok := answer.(*supervision.Listing)
	require.True(t, ok)
	return listing.Children
}

// find returns the child at the path of IDs.
func find(t testing.TB, tree *supervision.Tree, ids ...string) supervision.Status {
	t.Helper()
	st, err := tree.List(testContext(t))
	require.NoError(t, err)
next:
	for _, id := range ids {
		for _, c := range st.Children {
			if c.ID == id {
				st = c
				continue next
			}
		}
		require.FailNow(t, "no such child", "%v in %+v", ids, st)
	}
	return st
}
