package supervision_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/supervision"
)

var errSaid = errors.New("said so")

// ways are the ways in which a child can end by itself.
var ways = []struct {
	name   string
	end    func(actor.Context)
	reason supervision.Reason // nil: a panic
}{
	{"stops", func(ctx actor.Context) { ctx.Stop(ctx.Self()) }, supervision.Normal{}},
	{"says nothing", func(ctx actor.Context) { supervision.Exit(ctx, nil) }, supervision.Normal{}},
	{"says shutdown", func(ctx actor.Context) { supervision.Exit(ctx, supervision.Shutdown{}) }, supervision.Shutdown{}},
	{"says an error", func(ctx actor.Context) { supervision.Exit(ctx, supervision.Error{Err: errSaid}) }, supervision.Error{Err: errSaid}},
	{"panics", boom, nil},
	{"says something, then panics", func(ctx actor.Context) { supervision.Exit(ctx, nil); boom(ctx) }, nil},
}

func TestRestartGrid(t *testing.T) {
	for _, restart := range []supervision.Restart{supervision.Permanent, supervision.Transient, supervision.Temporary} {
		for i, way := range ways {
			abnormal := i >= 3
			again := restart == supervision.Permanent || restart == supervision.Transient && abnormal
			t.Run(fmt.Sprintf("%v child %s", restart, way.name), func(t *testing.T) {
				c, ends, system := newClock(), newExits(), newSystem()
				tree := start(t, system, supervision.Spec{
					Clock: c.spec(), OnExit: ends.hook, Children: []supervision.ChildSpec{child("x", restart)},
				})
				pid := find(t, tree, "x").PID
				system.Root.Send(pid, do(way.end))

				end := receive(t, ends, "the end")
				require.Equal(t, "x", end.ID)
				require.Equal(t, pid, end.PID)
				require.Equal(t, again, end.Restarting)
				if way.reason != nil {
					require.Equal(t, way.reason, end.Reason)
				} else {
					p, ok := end.Reason.(supervision.Panic)
					require.True(t, ok, "%v", end.Reason)
					require.Equal(t, "boom", p.Value)
					require.Contains(t, string(p.Stack), "supervision_test.boom", "the stack shows who panicked")
				}
				if again {
					require.Equal(t, supervision.StateWaiting, find(t, tree, "x").State)
					c.ring(t)
					requireReplaced(t, tree, pid)
				} else {
					st, err := tree.List(testContext(t))
					require.NoError(t, err)
					require.Empty(t, st.Children)
				}
				stop(t, tree)
			})
		}
	}
}

// requireReplaced waits until the child x runs again, under a new name.
func requireReplaced(t *testing.T, tree *supervision.Tree, old *actor.PID) {
	t.Helper()
	st := find(t, tree, "x")
	for st.State == supervision.StateStarting {
		st = find(t, tree, "x")
	}
	require.Equal(t, supervision.StateRunning, st.State)
	require.NotEqual(t, old.Id, st.PID.Id)
	require.Equal(t, 1, st.Restarts)
	require.NotNil(t, st.Last)
}

// TestTrapBackoff: protoactor's own delays grow linearly and have no limit.
func TestTrapBackoff(t *testing.T) {
	c, ends, system := newClock(), newExits(), newSystem()
	random := 0.5
	watcher, heard := inbox(t, system)
	tree := start(t, system, supervision.Spec{
		Clock: c.spec(), OnExit: ends.hook, Random: func() float64 { return random }, Observer: watcher,
		Intensity: supervision.Intensity{Restarts: 100, Window: time.Minute},
		Backoff:   supervision.Backoff{Min: 80 * time.Millisecond, Max: 500 * time.Millisecond},
		Children:  []supervision.ChildSpec{child("x", supervision.Permanent)},
	})
	crash := func() time.Duration {
		system.Root.Send(find(t, tree, "x").PID, do(boom))
		require.True(t, receive(t, ends, "the end").Restarting)
		require.IsType(t, &supervision.Exited{}, receive(t, heard, "Exited"))
		d := c.ring(t)
		require.IsType(t, &supervision.Started{}, receive(t, heard, "the restart"))
		return d
	}
	var delays []time.Duration
	for range 5 {
		delays = append(delays, crash())
	}
	ms := time.Millisecond
	require.Equal(t, []time.Duration{40 * ms, 80 * ms, 160 * ms, 250 * ms, 250 * ms}, delays)

	c.advance(time.Minute) // a child that ran well for a whole window starts afresh
	require.Equal(t, 40*ms, crash())
	stop(t, tree)
}

func TestIntensityExceededEndsTheTree(t *testing.T) {
	c, d, system := newClock(), newDiary(), newSystem()
	ends := newExits()
	tree := start(t, system, supervision.Spec{
		Clock: c.spec(), OnExit: ends.hook,
		Intensity: supervision.Intensity{Restarts: 1, Window: time.Minute},
		Children: []supervision.ChildSpec{
			{ID: "a", Start: d.writer("a")}, {ID: "x", Start: d.writer("x")}, {ID: "b", Start: d.writer("b")},
		},
	})
	system.Root.Send(find(t, tree, "x").PID, do(boom))
	require.True(t, receive(t, ends, "first end").Restarting)
	c.ring(t)
	for len(d.lines) < 5 { // three starts, one end, one restart
		find(t, tree, "x")
	}
	d.rest()
	system.Root.Send(find(t, tree, "x").PID, do(boom))
	receive(t, tree.Done(), "the end of the tree")
	require.False(t, receive(t, ends, "second end").Restarting)
	require.Equal(t, []string{"x stopped", "b stopped", "a stopped"}, d.rest(), "in order")
	var exceeded supervision.IntensityExceeded
	require.ErrorAs(t, tree.Err(), &exceeded)
	require.Equal(t, "x", exceeded.ID)
	require.ErrorContains(t, tree.Err(), "more than 1 restarts within 1m0s")
	require.NoError(t, tree.Stop(testContext(t)), "nothing was left behind")
}

// TestTrapResumeEscalated: with protoactor's strategies a failure that is
// escalated and then resumed leaves the child suspended for ever. Here the
// supervisor ends, and its parent starts a whole new one.
func TestTrapResumeEscalated(t *testing.T) {
	c, ends, system := newClock(), newExits(), newSystem()
	tree := start(t, system, supervision.Spec{
		Clock: c.spec(), OnExit: ends.hook,
		Children: []supervision.ChildSpec{supervision.Supervisor("sub", supervision.Spec{
			Intensity: supervision.Intensity{Window: time.Minute}, // no restart at all
			Children:  []supervision.ChildSpec{child("x", supervision.Permanent), child("y", supervision.Permanent)},
		})},
	})
	old := find(t, tree, "sub", "x").PID
	system.Root.Send(old, do(boom))
	end := receive(t, ends, "the end of sub")
	require.True(t, end.Restarting)
	require.IsType(t, supervision.IntensityExceeded{}, end.Reason)
	c.ring(t)
	for find(t, tree, "sub").State != supervision.StateRunning {
		continue
	}
	fresh := find(t, tree, "sub", "x").PID
	require.NotEqual(t, old.Id, fresh.Id)
	done := make(chan struct{})
	system.Root.Send(fresh, do(func(actor.Context) { close(done) }))
	receive(t, done, "the new child handles messages")
	stop(t, tree)
}

func TestFailedRestartCountsAndIsTriedAgain(t *testing.T) {
	c, ends, system := newClock(), newExits(), newSystem()
	incarnation := 0
	tree := start(t, system, supervision.Spec{
		Clock: c.spec(), OnExit: ends.hook,
		Children: []supervision.ChildSpec{{ID: "x", Start: func() actor.Actor {
			if incarnation++; incarnation == 2 {
				panic("not yet")
			}
			return obedient()
		}}},
	})
	pid := find(t, tree, "x").PID
	system.Root.Send(pid, do(boom))
	require.IsType(t, supervision.Panic{}, receive(t, ends, "the end").Reason)
	c.ring(t)
	failed := receive(t, ends, "the failed restart")
	require.Nil(t, failed.PID)
	require.True(t, failed.Restarting)
	require.IsType(t, supervision.StartFailed{}, failed.Reason)
	c.ring(t)
	for find(t, tree, "x").State != supervision.StateRunning {
		continue
	}
	require.Equal(t, 2, find(t, tree, "x").Restarts)
	stop(t, tree)
}

// TestStopIsNotStarvedByRestarts: a child that fails at once, always, under a
// supervisor that tolerates it.
func TestStopIsNotStarvedByRestarts(t *testing.T) {
	ends, system := newExits(), newSystem()
	incarnation := 0
	crashing := func() actor.Actor {
		incarnation++
		first := incarnation == 1
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); ok && !first {
				panic("boom")
			}
			if f, ok := ctx.Message().(func(actor.Context)); ok {
				f(ctx)
			}
		})
	}
	tree := start(t, system, supervision.Spec{
		OnExit: func(x supervision.Exited) {
			select {
			case ends <- x:
			default:
			}
		},
		Intensity: supervision.Intensity{Restarts: 1 << 30, Window: time.Hour},
		Backoff:   supervision.Backoff{Min: 1, Max: 1},
		Children:  []supervision.ChildSpec{{ID: "x", Start: crashing}},
	})
	system.Root.Send(find(t, tree, "x").PID, do(boom))
	for range 20 {
		receive(t, ends, "one more end")
	}
	stop(t, tree)
}
