package supervision_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/supervision"
)

// atOnce is a Spec's Random: no back-off.
func atOnce() float64 { return 0 }

// TestStrategyGrid runs every cell of restart type x exit reason x strategy.
// The siblings are those of restart.TestPlanGrid: a temporary, b permanent,
// then x, c transient, d temporary.
func TestStrategyGrid(t *testing.T) {
	restarted := map[supervision.Strategy][]string{
		supervision.OneForOne:  {"x stopped", "x started"},
		supervision.AllForOne:  {"x stopped", "d stopped", "c stopped", "b stopped", "a stopped", "b started", "x started", "c started"},
		supervision.RestForOne: {"x stopped", "d stopped", "c stopped", "x started", "c started"},
	}
	for strategy, lines := range restarted {
		for _, restart := range []supervision.Restart{supervision.Permanent, supervision.Transient, supervision.Temporary} {
			for i, way := range ways {
				want := lines
				if restart == supervision.Temporary || restart == supervision.Transient && i < 3 {
					want = lines[:1]
				}
				t.Run(fmt.Sprintf("%v, %v child %s", strategy, restart, way.name), func(t *testing.T) {
					c, d, system := newClock(), newDiary(), newSystem()
					kin := func(id string, restart supervision.Restart) supervision.ChildSpec {
						return supervision.ChildSpec{ID: id, Restart: restart, Start: d.writer(id)}
					}
					tree := start(t, system, supervision.Spec{
						Strategy: strategy, Clock: c.spec(), Random: atOnce,
						Children: []supervision.ChildSpec{
							kin("a", supervision.Temporary), kin("b", supervision.Permanent), kin("x", restart),
							kin("c", supervision.Transient), kin("d", supervision.Temporary),
						},
					})
					require.Len(t, d.rest(), 5)
					system.Root.Send(find(t, tree, "x").PID, do(way.end))
					for i, line := range want {
						if strategy == supervision.OneForOne && i == 1 {
							c.ring(t)
						}
						require.Equal(t, line, d.next(t))
					}
					settled(t, tree)
					require.Empty(t, d.rest())
					stop(t, tree)
				})
			}
		}
	}
}

// settled waits until all children of the root run, and returns them.
func settled(t testing.TB, tree *supervision.Tree) []supervision.Status {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		busy := false
		children := find(t, tree).Children
		for _, st := range children {
			busy = busy || st.State != supervision.StateRunning
		}
		if !busy {
			return children
		}
	}
	require.FailNow(t, "the tree does not settle", "%+v", find(t, tree).Children)
	return nil
}

// TestGroupRestartCountsOnce: whatever it concerns, one failure is one restart.
func TestGroupRestartCountsOnce(t *testing.T) {
	ends, system := newExits(), newSystem()
	tree := start(t, system, supervision.Spec{
		Strategy: supervision.AllForOne, Random: atOnce, Clock: newClock().spec(), OnExit: ends.hook,
		Intensity: supervision.Intensity{Restarts: 2, Window: time.Minute},
		Children:  []supervision.ChildSpec{child("a", supervision.Permanent), child("b", supervision.Permanent), child("c", supervision.Permanent)},
	})
	for round := range 2 {
		system.Root.Send(find(t, tree, "b").PID, do(boom))
		for range 3 {
			require.True(t, receive(t, ends, "an end").Restarting)
		}
		for _, st := range settled(t, tree) {
			require.Equal(t, round+1, st.Restarts)
		}
	}
	system.Root.Send(find(t, tree, "a").PID, do(boom))
	receive(t, tree.Done(), "the end of the tree")
	require.ErrorAs(t, tree.Err(), &supervision.IntensityExceeded{})
}

// TestGroupRestartWaitsForItsBackoff: the siblings are stopped at once, and all
// are started together after the delay.
func TestGroupRestartWaitsForItsBackoff(t *testing.T) {
	c, d, system := newClock(), newDiary(), newSystem()
	tree := start(t, system, supervision.Spec{
		Strategy: supervision.AllForOne, Clock: c.spec(), Random: func() float64 { return 0.5 },
		Children: []supervision.ChildSpec{{ID: "a", Start: d.writer("a")}, {ID: "b", Start: d.writer("b")}},
	})
	d.rest()
	system.Root.Send(find(t, tree, "a").PID, do(boom))
	require.Equal(t, "a stopped", d.next(t))
	require.Equal(t, "b stopped", d.next(t))
	c.await(t, 50*time.Millisecond)
	require.Empty(t, d.rest())
	for _, st := range find(t, tree).Children {
		require.Equal(t, supervision.StateWaiting, st.State, st.ID)
	}
	c.ring(t)
	require.Equal(t, "a started", d.next(t))
	require.Equal(t, "b started", d.next(t))
	stop(t, tree)
}

// TestGroupRestartStopsSmallChildren: they are the youngest, and temporary.
func TestGroupRestartStopsSmallChildren(t *testing.T) {
	c, ends, system := newClock(), newExits(), newSystem()
	tree := start(t, system, supervision.Spec{
		Strategy: supervision.RestForOne, Clock: c.spec(), Random: atOnce, OnExit: ends.hook,
		Children: []supervision.ChildSpec{child("x", supervision.Permanent)},
	})
	for _, id := range []string{"s1", "s2"} {
		system.Root.Send(tree.PID(), &supervision.StartTemporary{ID: id, Actor: obedient()})
	}
	require.Len(t, flush(t, system, tree.PID()), 3)
	system.Root.Send(find(t, tree, "x").PID, do(boom))
	require.True(t, receive(t, ends, "x").Restarting)
	for range 2 {
		e := receive(t, ends, "a small one")
		require.Equal(t, supervision.Shutdown{}, e.Reason)
		require.False(t, e.Restarting)
	}
	require.Len(t, settled(t, tree), 1)
	stop(t, tree)
}

// TestGroupRestartAbandonsWhoDoesNotStop: a sibling that hangs does not keep
// the others from coming back, and comes back itself under a new name.
func TestGroupRestartAbandonsWhoDoesNotStop(t *testing.T) {
	c, ends, system := newClock(), newExits(), newSystem()
	release := make(chan struct{})
	tree := start(t, system, supervision.Spec{
		Strategy: supervision.AllForOne, Clock: c.spec(), Random: atOnce, OnExit: ends.hook,
		Children: []supervision.ChildSpec{child("x", supervision.Permanent), child("hung", supervision.Permanent)},
	})
	zombie, inside := find(t, tree, "hung").PID, make(chan struct{})
	system.Root.Send(zombie, do(func(actor.Context) { close(inside); <-release }))
	receive(t, inside, "it hangs")
	system.Root.Send(find(t, tree, "x").PID, do(boom))
	require.True(t, receive(t, ends, "x").Restarting)
	c.await(t, supervision.DefaultShutdown)
	c.ring(t)
	e := receive(t, ends, "hung")
	require.True(t, e.Restarting)
	require.IsType(t, supervision.Abandoned{}, e.Reason)
	require.NotEqual(t, zombie, settled(t, tree)[1].PID)
	close(release)
	stop(t, tree)
}

// TestFailedGroupRestartIsTriedAgain: with all-for-one those that had started
// again are stopped once more.
func TestFailedGroupRestartIsTriedAgain(t *testing.T) {
	c, d, system := newClock(), newDiary(), newSystem()
	made := 0
	tree := start(t, system, supervision.Spec{
		Strategy: supervision.AllForOne, Clock: c.spec(), Random: atOnce,
		Children: []supervision.ChildSpec{{ID: "a", Start: d.writer("a")}, {ID: "x", Start: func() actor.Actor {
			if made++; made == 2 {
				panic("not yet")
			}
			return d.writer("x")()
		}}},
	})
	d.rest()
	system.Root.Send(find(t, tree, "a").PID, do(boom))
	for _, want := range []string{"a stopped", "x stopped", "a started", "a stopped", "a started", "x started"} {
		require.Equal(t, want, d.next(t))
	}
	stop(t, tree)
}

// TestRequestsWaitForAGroupRestart: a start is put off, a stop is not.
func TestRequestsWaitForAGroupRestart(t *testing.T) {
	c, ends, system := newClock(), newExits(), newSystem()
	tree := start(t, system, supervision.Spec{
		Strategy: supervision.AllForOne, Clock: c.spec(), Random: func() float64 { return 0.5 }, OnExit: ends.hook,
		Children: []supervision.ChildSpec{child("a", supervision.Permanent), child("b", supervision.Permanent)},
	})
	system.Root.Send(find(t, tree, "a").PID, do(boom))
	receive(t, ends, "a")
	receive(t, ends, "b")
	c.await(t, 50*time.Millisecond)
	started := make(chan error, 1)
	go func() {
		_, err := tree.StartChild(testContext(t), child("late", supervision.Permanent))
		started <- err
	}()
	require.NoError(t, tree.StopChild(testContext(t), "b"))
	require.Len(t, find(t, tree).Children, 1, "late is not there yet, and b is not any more")
	c.ring(t)
	require.NoError(t, receive(t, started, "late"))
	children := settled(t, tree)
	require.Len(t, children, 2)
	require.Equal(t, "a", children[0].ID)
	require.Equal(t, "late", children[1].ID)
	stop(t, tree)
}

// TestAnEndDuringTheStartWaits: it concerns the others when they are there.
func TestAnEndDuringTheStartWaits(t *testing.T) {
	d, system := newDiary(), newSystem()
	gone := make(chan struct{})
	tree := start(t, system, supervision.Spec{
		Strategy: supervision.AllForOne, Clock: newClock().spec(), Random: atOnce,
		Children: []supervision.ChildSpec{
			{ID: "a", Start: d.writer("a")},
			{ID: "x", Start: func() actor.Actor {
				first := !closed(gone)
				return actor.ReceiveFunc(func(ctx actor.Context) {
					switch ctx.Message().(type) {
					case *actor.Started:
						d.write("x started")
						if first {
							ctx.Send(ctx.Self(), do(boom))
						}
					case func(actor.Context):
						boom(ctx)
					case *actor.Stopped:
						d.write("x stopped")
						if first {
							close(gone)
						}
					}
				})
			}},
			{ID: "b", Start: func() actor.Actor {
				inner := d.writer("b")()
				return actor.ReceiveFunc(func(ctx actor.Context) {
					if _, ok := ctx.Message().(*actor.Started); ok {
						<-gone // x has ended before b has started
					}
					inner.Receive(ctx)
				})
			}},
		},
	})
	for _, want := range []string{
		"a started", "x started", "x stopped", "b started", "b stopped", "a stopped", "a started", "x started", "b started",
	} {
		require.Equal(t, want, d.next(t))
	}
	stop(t, tree)
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func significant(id string, restart supervision.Restart) supervision.ChildSpec {
	spec := child(id, restart)
	spec.Significant = true
	return spec
}

func TestAutoShutdown(t *testing.T) {
	t.Run("any", func(t *testing.T) {
		system := newSystem()
		tree := start(t, system, supervision.Spec{
			AutoShutdown: supervision.AnySignificant,
			Children: []supervision.ChildSpec{
				child("a", supervision.Permanent), significant("x", supervision.Transient), significant("y", supervision.Temporary),
			},
		})
		system.Root.Send(find(t, tree, "x").PID, do(func(ctx actor.Context) { supervision.Exit(ctx, nil) }))
		receive(t, tree.Done(), "the end of the tree")
		require.Equal(t, supervision.Shutdown{}, tree.Reason())
		require.NoError(t, tree.Err())
	})
	t.Run("all", func(t *testing.T) {
		ends, system := newExits(), newSystem()
		tree := start(t, system, supervision.Spec{
			AutoShutdown: supervision.AllSignificant, OnExit: ends.hook,
			Children: []supervision.ChildSpec{
				child("a", supervision.Permanent), significant("x", supervision.Temporary), significant("y", supervision.Temporary),
			},
		})
		system.Root.Send(find(t, tree, "x").PID, do(boom))
		receive(t, ends, "the end of x")
		require.Len(t, settled(t, tree), 2)
		system.Root.Send(find(t, tree, "y").PID, do(boom))
		receive(t, tree.Done(), "the end of the tree")
		require.Equal(t, supervision.Shutdown{}, tree.Reason())
	})
	t.Run("not by hand", func(t *testing.T) {
		system := newSystem()
		tree := start(t, system, supervision.Spec{
			AutoShutdown: supervision.AnySignificant, Children: []supervision.ChildSpec{significant("x", supervision.Transient)},
		})
		require.NoError(t, tree.StopChild(testContext(t), "x"))
		require.Empty(t, settled(t, tree))
		stop(t, tree)
	})
	t.Run("not because of a sibling", func(t *testing.T) {
		ends, system := newExits(), newSystem()
		tree := start(t, system, supervision.Spec{
			Strategy: supervision.AllForOne, AutoShutdown: supervision.AnySignificant, Random: atOnce, OnExit: ends.hook,
			Children: []supervision.ChildSpec{child("a", supervision.Permanent), significant("x", supervision.Temporary)},
		})
		system.Root.Send(find(t, tree, "a").PID, do(boom))
		require.Equal(t, "a", receive(t, ends, "a").ID)
		require.Equal(t, "x", receive(t, ends, "x").ID)
		children := settled(t, tree)
		require.Len(t, children, 1)
		require.Equal(t, "a", children[0].ID)
		stop(t, tree)
	})
	t.Run("a nested one that is transient is forgotten", func(t *testing.T) {
		ends, system := newExits(), newSystem()
		nested := supervision.Supervisor("sub", supervision.Spec{
			AutoShutdown: supervision.AnySignificant, Children: []supervision.ChildSpec{significant("x", supervision.Temporary)},
		})
		nested.Restart = supervision.Transient
		tree := start(t, system, supervision.Spec{OnExit: ends.hook, Children: []supervision.ChildSpec{nested}})
		system.Root.Send(find(t, tree, "sub", "x").PID, do(boom))
		e := receive(t, ends, "the end of sub")
		require.Equal(t, supervision.Shutdown{}, e.Reason)
		require.False(t, e.Restarting)
		stop(t, tree)
	})
}

func TestStrategyAndSignificantAreValidated(t *testing.T) {
	x := child("x", supervision.Permanent)
	x.Significant = true
	require.ErrorContains(t, supervision.Spec{Children: []supervision.ChildSpec{x}}.Validate(), "Restart is permanent")
	x.Restart = supervision.Transient
	require.ErrorContains(t, supervision.Spec{Children: []supervision.ChildSpec{x}}.Validate(), "AutoShutdown is never")
	require.NoError(t, supervision.Spec{AutoShutdown: supervision.AnySignificant, Children: []supervision.ChildSpec{x}}.Validate())
	require.ErrorContains(t, supervision.Spec{Strategy: 7}.Validate(), "Strategy is restart.Strategy(7)")
	require.ErrorContains(t, supervision.Spec{AutoShutdown: 7}.Validate(), "AutoShutdown is restart.AutoShutdown(7)")

	tree := start(t, newSystem(), supervision.Spec{})
	_, err := tree.StartChild(testContext(t), x)
	require.ErrorContains(t, err, "AutoShutdown is never")
	stop(t, tree)
}
