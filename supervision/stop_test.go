package supervision_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/supervision"
)

func TestHungTemporaryChildrenShareOneDeadline(t *testing.T) {
	c, d, system := newClock(), newDiary(), newSystem()
	release := make(chan struct{})
	watcher, heard := inbox(t, system)
	tree := start(t, system, supervision.Spec{
		Clock: c.spec(), Observer: watcher, Shutdown: 2 * time.Second,
		Children: []supervision.ChildSpec{{ID: "static", Start: d.writer("static")}},
	})
	for _, id := range []string{"1", "2", "3", "4"} {
		system.Root.Send(tree.PID(), &supervision.StartTemporary{ID: id, Actor: d.writer("temporary")()})
	}
	flush(t, system, tree.PID())
	one, three := find(t, tree, "1").PID, find(t, tree, "3").PID
	hung(t, system, one, release)
	hung(t, system, three, release)
	for range 5 {
		require.Contains(t, d.next(t), "started")
	}
	result := stopping(t, tree)
	require.Equal(t, []string{"temporary stopped", "temporary stopped"}, []string{d.next(t), d.next(t)})
	c.await(t, 2*time.Second, 6*time.Second)
	c.advance(2 * time.Second)
	var unstopped *supervision.UnstoppedError
	require.ErrorAs(t, receive(t, result, "Stop to return"), &unstopped)
	require.ElementsMatch(t, []string{one.Id, three.Id}, unstopped.Abandoned)
	require.Equal(t, "static stopped", d.next(t))
	reasons := map[supervision.Reason]int{}
	for range 5 {
		exited, ok := receive(t, heard, "an end").(*supervision.Exited)
		require.True(t, ok)
		reasons[exited.Reason]++
	}
	require.Equal(t, map[supervision.Reason]int{
		supervision.Shutdown{}: 3, supervision.Abandoned{After: 2 * time.Second}: 2,
	}, reasons)
	close(release)
	require.Equal(t, []string{"temporary stopped", "temporary stopped"}, []string{d.next(t), d.next(t)})
}

func TestStopChildAbandonsATemporaryChild(t *testing.T) {
	c, d, system := newClock(), newDiary(), newSystem()
	release := make(chan struct{})
	tree := start(t, system, supervision.Spec{Clock: c.spec()})
	system.Root.Send(tree.PID(), &supervision.StartTemporary{ID: "x", Actor: d.writer("x")()})
	flush(t, system, tree.PID())
	hung(t, system, find(t, tree, "x").PID, release)
	result := make(chan error, 2)
	for range 2 {
		go func() { result <- tree.StopChild(testContext(t), "x") }()
	}
	c.await(t, supervision.DefaultShutdown)
	for find(t, tree, "x").State != supervision.StateStopping {
		continue
	}
	c.advance(supervision.DefaultShutdown)
	// The one that comes too late finds no child.
	first, second := receive(t, result, "StopChild"), receive(t, result, "StopChild")
	require.Error(t, first)
	require.Error(t, second)
	require.ErrorIs(t, errors.Join(first, second), supervision.Abandoned{After: supervision.DefaultShutdown})
	close(release)
	stop(t, tree) // the tree has nothing to do with it any more
	require.Equal(t, "x started", d.next(t))
	require.Equal(t, "x stopped", d.next(t))
}

// TestStopGivesUpWithItsContext: the tree goes on, and Stop may be called
// again.
func TestStopGivesUpWithItsContext(t *testing.T) {
	c, system := newClock(), newSystem()
	release := make(chan struct{})
	tree := start(t, system, supervision.Spec{Clock: c.spec(), Children: []supervision.ChildSpec{
		{ID: "slow", Start: obedient, Shutdown: time.Hour},
	}})
	pid := find(t, tree, "slow").PID
	hung(t, system, pid, release)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- tree.Stop(ctx) }()
	c.await(t, time.Hour, time.Hour+time.Second)
	cancel()
	err := receive(t, result, "Stop to return")
	require.ErrorIs(t, err, context.Canceled)
	var unstopped *supervision.UnstoppedError
	require.ErrorAs(t, err, &unstopped)
	require.Equal(t, []string{pid.Id}, unstopped.Waiting)
	require.Empty(t, unstopped.Abandoned)

	again := stopping(t, tree)
	c.await(t, time.Hour, time.Hour+time.Second)
	close(release)
	require.NoError(t, receive(t, again, "Stop to return"))
}

// TestHungDispatcher: not even the root supervisor runs, because one of its
// children hangs on the dispatcher they share.
func TestHungDispatcher(t *testing.T) {
	l, c, d, system := newLane(), newClock(), newDiary(), newSystem()
	onLane := []actor.PropsOption{actor.WithDispatcher(l)}
	release := make(chan struct{})
	tree := start(t, system, supervision.Spec{
		Clock: c.spec(), Options: onLane, ChildOptions: onLane,
		Children: []supervision.ChildSpec{{ID: "x", Start: d.writer("x")}},
	})
	hung(t, system, find(t, tree, "x").PID, release)
	result := stopping(t, tree)
	c.await(t, 6*time.Second)
	c.advance(6 * time.Second)
	var unstopped *supervision.UnstoppedError
	require.ErrorAs(t, receive(t, result, "Stop to return"), &unstopped)
	require.Equal(t, []string{tree.PID().Id}, unstopped.Abandoned)
	require.Equal(t, supervision.Abandoned{After: 6 * time.Second}, tree.Reason())
	_, err := tree.List(testContext(t))
	require.ErrorIs(t, err, supervision.ErrStopping)
	close(release)
	require.Equal(t, "x started", d.next(t))
	require.Equal(t, "x stopped", d.next(t), "the zombies end when they wake")
	l.drain(t)
	l.close()
}

// TestHungNestedSupervisorIsAbandoned: its own deadline is hard if it has one.
func TestHungNestedSupervisorIsAbandoned(t *testing.T) {
	l, c, d, system := newLane(), newClock(), newDiary(), newSystem()
	onLane := []actor.PropsOption{actor.WithDispatcher(l)}
	release := make(chan struct{})
	sub := supervision.Supervisor("sub", supervision.Spec{
		Options: onLane, ChildOptions: onLane,
		Children: []supervision.ChildSpec{{ID: "x", Start: d.writer("x")}},
	})
	sub.Shutdown = 3 * time.Second
	tree := start(t, system, supervision.Spec{Clock: c.spec(), Children: []supervision.ChildSpec{
		{ID: "a", Start: d.writer("a")}, sub,
	}})
	path := find(t, tree, "sub").PID.Id
	hung(t, system, find(t, tree, "sub", "x").PID, release)
	result := stopping(t, tree)
	c.await(t, 3*time.Second, 6*time.Second)
	c.advance(3 * time.Second)
	var unstopped *supervision.UnstoppedError
	require.ErrorAs(t, receive(t, result, "Stop to return"), &unstopped)
	require.Equal(t, []string{path}, unstopped.Abandoned)
	require.Equal(t, []string{"a started", "x started", "a stopped"}, d.rest())
	close(release)
	require.Equal(t, "x stopped", d.next(t), "the zombies end when they wake")
	l.drain(t)
	l.close()
}

// TestProtoactorStopHoldsTheDeadlines: a supervisor owned by another actor is
// stopped by protoactor, which tells all children at once and then waits for
// ever; the deadlines hold all the same.
func TestProtoactorStopHoldsTheDeadlines(t *testing.T) {
	c, d, system, ends := newClock(), newDiary(), newSystem(), newExits()
	release, up := make(chan struct{}), make(chan *actor.PID, 2)
	x := func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *actor.Started:
				up <- ctx.Self()
			case func(actor.Context):
				m(ctx)
			}
		})
	}
	owner := system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		switch ctx.Message().(type) {
		case *actor.Started:
			ctx.Spawn(supervision.Props(supervision.Spec{
				Clock: c.spec(), OnExit: ends.hook,
				Children: []supervision.ChildSpec{
					{ID: "a", Start: d.writer("a")},
					supervision.Supervisor("sub", supervision.Spec{Children: []supervision.ChildSpec{
						{ID: "x", Start: x, Shutdown: 20 * time.Second},
					}}),
				},
			}))
		case *actor.Stopped:
			d.write("owner stopped")
		}
	}))
	require.Equal(t, "a started", d.next(t))
	hung(t, system, receive(t, up, "x"), release)
	system.Root.Stop(owner)
	require.Equal(t, "a stopped", d.next(t))
	c.await(t, 20*time.Second, 21*time.Second)
	c.advance(20 * time.Second)
	require.Equal(t, "owner stopped", d.next(t))
	require.Equal(t, supervision.Shutdown{}, receive(t, ends, "the end of a").Reason)
	require.Equal(t, "sub", receive(t, ends, "the end of sub").ID)
	close(release)
}

func TestStopMessageIsOrderly(t *testing.T) {
	d, system := newDiary(), newSystem()
	tree := start(t, system, supervision.Spec{Children: []supervision.ChildSpec{
		{ID: "a", Start: d.writer("a")}, {ID: "b", Start: d.writer("b")},
	}})
	d.rest()
	system.Root.Send(tree.PID(), &supervision.Stop{})
	receive(t, tree.Done(), "the end of the tree")
	require.Equal(t, []string{"b stopped", "a stopped"}, d.rest())
	require.NoError(t, tree.Err())
}

func TestStopForgetsWhoWaitsForARestart(t *testing.T) {
	c, ends, system := newClock(), newExits(), newSystem()
	tree := start(t, system, supervision.Spec{Clock: c.spec(), OnExit: ends.hook, Children: []supervision.ChildSpec{
		child("x", supervision.Permanent), child("y", supervision.Permanent),
	}})
	for _, id := range []string{"x", "y"} {
		system.Root.Send(find(t, tree, id).PID, do(boom))
		require.True(t, receive(t, ends, "the end").Restarting)
	}
	require.NoError(t, tree.StopChild(testContext(t), "y"))
	require.Equal(t, supervision.Exited{ID: "y", Reason: supervision.Shutdown{}}, receive(t, ends, "y is forgotten"))
	stop(t, tree)
	require.Equal(t, supervision.Exited{ID: "x", Reason: supervision.Shutdown{}}, receive(t, ends, "x is forgotten"))
}

// refusing is a mailbox that is always full for user messages.
type refusing struct{ actor.Mailbox }

func (refusing) PostUserMessage(any) {}

// TestFullMailbox: a supervisor that takes no user message at all still
// starts, restarts and stops its children.
func TestFullMailbox(t *testing.T) {
	c, ends, system := newClock(), newExits(), newSystem()
	full := actor.WithMailbox(func() actor.Mailbox { return refusing{actor.Unbounded()()} })
	tree := start(t, system, supervision.Spec{
		Clock: c.spec(), OnExit: ends.hook, Options: []actor.PropsOption{full},
		Children: []supervision.ChildSpec{child("x", supervision.Permanent)},
	})
	pid := find(t, tree, "x").PID
	system.Root.Send(pid, do(boom))
	require.True(t, receive(t, ends, "the end").Restarting)
	c.ring(t)
	requireReplaced(t, tree, pid)
	_, err := tree.StartChild(testContext(t), child("y", supervision.Permanent))
	require.NoError(t, err)
	stop(t, tree)
}
