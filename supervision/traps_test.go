package supervision_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/supervision"
)

// The tests of this file close traps of protoactor-go at
// v0.0.0-20240822202345-3c0e61ca19c9, each of which was reproduced without
// this package. TestTrapBackoff and TestTrapResumeEscalated are with the
// restarts.

// panicsIn returns an actor that panics when it gets a T.
func panicsIn[T any]() actor.Actor {
	return actor.ReceiveFunc(func(ctx actor.Context) {
		if _, ok := ctx.Message().(T); ok {
			panic(fmt.Sprintf("boom in %T", ctx.Message()))
		}
		if f, ok := ctx.Message().(func(actor.Context)); ok {
			f(ctx)
		}
	})
}

// TestTrapStoppingPanic: protoactor restarts a child that panics in Stopping,
// so it never stops.
func TestTrapStoppingPanic(t *testing.T) { testPanicWhileStopping(t, panicsIn[*actor.Stopping]) }

// TestTrapStoppedPanic: protoactor never reports the end of a child that
// panics in Stopped, so its parent never stops either.
func TestTrapStoppedPanic(t *testing.T) { testPanicWhileStopping(t, panicsIn[*actor.Stopped]) }

func testPanicWhileStopping(t *testing.T, nasty func() actor.Actor) {
	ends, system := newExits(), newSystem()
	tree := start(t, system, supervision.Spec{OnExit: ends.hook, Children: []supervision.ChildSpec{
		{ID: "told", Start: nasty},
		{ID: "at shutdown", Start: nasty},
		{ID: "by itself", Start: nasty, Restart: supervision.Temporary},
	}})
	system.Root.Send(find(t, tree, "by itself").PID, do(func(ctx actor.Context) { supervision.Exit(ctx, nil) }))
	require.IsType(t, supervision.Panic{}, receive(t, ends, "by itself").Reason)
	require.NoError(t, tree.StopChild(testContext(t), "told"))
	require.IsType(t, supervision.Panic{}, receive(t, ends, "told").Reason)
	system.Root.Send(tree.PID(), &supervision.StartTemporary{ID: "small", Actor: nasty()})
	flush(t, system, tree.PID())
	stop(t, tree)
	for range 2 {
		p, ok := receive(t, ends, "at shutdown").Reason.(supervision.Panic)
		require.True(t, ok)
		require.Contains(t, p.Value, "boom in *actor.Stop")
	}
}

// hung returns a child that blocks as soon as it is running, until release.
func hung(t *testing.T, system *actor.ActorSystem, pid *actor.PID, release chan struct{}) {
	t.Helper()
	inside := make(chan struct{})
	system.Root.Send(pid, do(func(actor.Context) { close(inside); <-release }))
	receive(t, inside, "the child to hang")
}

// TestTrapHungChild: in protoactor a hung child makes its parent unstoppable.
func TestTrapHungChild(t *testing.T) {
	c, d, system := newClock(), newDiary(), newSystem()
	ends, release := newExits(), make(chan struct{})
	tree := start(t, system, supervision.Spec{Clock: c.spec(), OnExit: ends.hook, Children: []supervision.ChildSpec{
		{ID: "a", Start: d.writer("a")},
		supervision.Supervisor("sub", supervision.Spec{Children: []supervision.ChildSpec{
			{ID: "b", Start: d.writer("b")},
			{ID: "hangs", Start: d.writer("hangs"), Shutdown: time.Minute},
		}}),
		{ID: "c", Start: d.writer("c")},
	}})
	pid := find(t, tree, "sub", "hangs").PID
	watcher, heard := inbox(t, system)
	system.Root.Send(find(t, tree, "sub").PID, &supervision.Watch{ID: "hangs", Watcher: watcher})
	flush(t, system, find(t, tree, "sub").PID)
	hung(t, system, pid, release)
	d.rest()

	result := stopping(t, tree)
	require.Equal(t, "c stopped", d.next(t))
	// The minute of the hung child is longer than its supervisor's parent would
	// wait by itself; but that is told, and waits a little longer, and so on up.
	c.await(t, 60*time.Second, 61*time.Second, 62*time.Second)
	c.advance(time.Minute)
	err := receive(t, result, "Stop to return")
	var unstopped *supervision.UnstoppedError
	require.ErrorAs(t, err, &unstopped)
	require.Equal(t, []string{pid.Id}, unstopped.Abandoned)
	require.Empty(t, unstopped.Waiting)
	require.Equal(t, []string{"b stopped", "a stopped"}, d.rest(), "the others stop in order")
	exited, ok := receive(t, heard, "Exited").(*supervision.Exited)
	require.True(t, ok)
	require.Equal(t, supervision.Abandoned{After: time.Minute}, exited.Reason)
	_, registered := system.ProcessRegistry.Get(tree.PID())
	require.False(t, registered)

	close(release)
	require.Equal(t, "hangs stopped", d.next(t), "the zombie ends when it wakes")
}

// TestTrapSpawnWhileStopping: protoactor never stops a child that is spawned
// while its parent is stopping, so the parent never stops.
func TestTrapSpawnWhileStopping(t *testing.T) {
	system := newSystem()
	dead := make(chan any, 10)
	system.EventStream.Subscribe(func(e any) {
		if l, ok := e.(*actor.DeadLetterEvent); ok {
			dead <- l.Message
		}
	})
	d, hold, held := newDiary(), make(chan struct{}), make(chan struct{})
	grandchild := actor.PropsFromFunc(func(ctx actor.Context) {
		if _, ok := ctx.Message().(*actor.Stopping); ok {
			close(held)
			<-hold
		}
	})
	spawn := func(ctx actor.Context, when string) { ctx.Spawn(actor.PropsFromProducer(d.writer(when))) }
	tree := start(t, system, supervision.Spec{Children: []supervision.ChildSpec{{ID: "x", Start: func() actor.Actor {
		ended := 0
		return actor.ReceiveFunc(func(ctx actor.Context) {
			switch ctx.Message().(type) {
			case *actor.Started:
				ctx.Spawn(grandchild)
			case string:
				spawn(ctx, "by message")
			case *actor.Terminated:
				if ended++; ended == 1 {
					spawn(ctx, "by end of a child")
				}
			case *actor.Stopped:
				spawn(ctx, "in Stopped")
			}
		})
	}}}})
	pid := find(t, tree, "x").PID
	process, ok := system.ProcessRegistry.Get(pid)
	require.True(t, ok)
	result := stopping(t, tree)
	receive(t, held, "the stop to begin")
	process.SendUserMessage(pid, "too late")
	require.Equal(t, "too late", receive(t, dead, "a dead letter"))
	close(hold)
	require.NoError(t, receive(t, result, "Stop to return"))
	require.Equal(t, "by end of a child started", d.next(t))
	require.Equal(t, "by end of a child stopped", d.next(t))
	require.Equal(t, "in Stopped started", d.next(t))
	require.Equal(t, "in Stopped stopped", d.next(t))
}

// TestTrapPanicInTerminatedWhileStopping: in protoactor an actor that panics
// when the last of its children has ended never finishes its own stop.
func TestTrapPanicInTerminatedWhileStopping(t *testing.T) {
	ends := newExits()
	tree := start(t, newSystem(), supervision.Spec{OnExit: ends.hook, Children: []supervision.ChildSpec{
		{ID: "x", Start: func() actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				switch ctx.Message().(type) {
				case *actor.Started:
					ctx.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
				case *actor.Terminated:
					panic("boom")
				}
			})
		}},
	}})
	stop(t, tree)
	require.IsType(t, supervision.Panic{}, receive(t, ends, "the end").Reason)
}

// TestTrapDuplicateTerminated: protoactor tells a parent that watches its own
// child twice of its end. The second must not look like another end.
func TestTrapDuplicateTerminated(t *testing.T) {
	c, ends, system := newClock(), newExits(), newSystem()
	tree := start(t, system, supervision.Spec{Clock: c.spec(), OnExit: ends.hook, Children: []supervision.ChildSpec{
		child("x", supervision.Permanent),
	}})
	pid := find(t, tree, "x").PID
	system.Root.Send(pid, do(func(ctx actor.Context) { ctx.Stop(ctx.Self()) }))
	receive(t, ends, "the end")
	root, ok := system.ProcessRegistry.Get(tree.PID())
	require.True(t, ok)
	root.SendSystemMessage(tree.PID(), &actor.Terminated{Who: pid})
	require.Equal(t, supervision.StateWaiting, find(t, tree, "x").State)
	c.ring(t)
	root.SendSystemMessage(tree.PID(), &actor.Terminated{Who: pid})
	requireReplaced(t, tree, pid)
	stop(t, tree)
	require.Equal(t, supervision.Shutdown{}, receive(t, ends, "the shutdown").Reason)
	require.Empty(t, ends)
}

// TestTrapRootFailure stands for guardianescalate and guardianallforone: under
// protoactor's guardian both end the whole process. A root supervisor that
// fails is stopped, its children with it, and nothing escalates.
func TestTrapRootFailure(t *testing.T) {
	d, system := newDiary(), newSystem()
	explode := func(next actor.ReceiverFunc) actor.ReceiverFunc {
		return func(ctx actor.ReceiverContext, e *actor.MessageEnvelope) {
			if e.Message == "explode" {
				panic("boom outside of every guard")
			}
			next(ctx, e)
		}
	}
	tree := start(t, system, supervision.Spec{
		Options:  []actor.PropsOption{actor.WithReceiverMiddleware(explode)},
		Children: []supervision.ChildSpec{{ID: "x", Start: d.writer("x")}},
	})
	system.Root.Send(tree.PID(), "explode")
	receive(t, tree.Done(), "the end of the tree")
	require.Equal(t, []string{"x started", "x stopped"}, d.rest())
}

// TestPanicOutsideOfTheGuard: the reason then comes from the mailbox.
func TestPanicOutsideOfTheGuard(t *testing.T) {
	ends, system := newExits(), newSystem()
	explode := func(next actor.ReceiverFunc) actor.ReceiverFunc {
		return func(ctx actor.ReceiverContext, e *actor.MessageEnvelope) {
			if e.Message == "explode" {
				panic(stacked{"outside"})
			}
			next(ctx, e)
		}
	}
	x := child("x", supervision.Temporary)
	x.Options = func() []actor.PropsOption { return []actor.PropsOption{actor.WithReceiverMiddleware(explode)} }
	tree := start(t, system, supervision.Spec{OnExit: ends.hook, Children: []supervision.ChildSpec{x}})
	system.Root.Send(find(t, tree, "x").PID, "explode")
	require.Equal(t, supervision.Panic{Value: stacked{"outside"}, Stack: []byte("stack of outside")},
		receive(t, ends, "the end").Reason)
	stop(t, tree)
}

// stacked is what a mailbox may report that keeps the stack of a panic.
type stacked struct{ what string }

func (s stacked) PanicStack() []byte { return []byte("stack of " + s.what) }

// TestTrapAbandonReusedName: in protoactor a zombie that wakes takes its name
// out of the registry, and with it its successor of the same name.
func TestTrapAbandonReusedName(t *testing.T) {
	c, d, system := newClock(), newDiary(), newSystem()
	release := make(chan struct{})
	x := supervision.ChildSpec{ID: "x", Start: d.writer("x"), Shutdown: time.Second}
	tree := start(t, system, supervision.Spec{Clock: c.spec(), Children: []supervision.ChildSpec{x}})
	zombie := find(t, tree, "x").PID
	hung(t, system, zombie, release)
	result := make(chan error, 1)
	go func() { result <- tree.StopChild(testContext(t), "x") }()
	c.await(t, time.Second)
	c.advance(time.Second)
	require.Equal(t, supervision.Abandoned{After: time.Second}, receive(t, result, "StopChild to return"))
	_, registered := system.ProcessRegistry.Get(zombie)
	require.False(t, registered, "nobody reaches the zombie")

	fresh, err := tree.StartChild(testContext(t), x)
	require.NoError(t, err)
	require.NotEqual(t, zombie.Id, fresh.Id)
	d.rest()
	close(release)
	require.Equal(t, "x stopped", d.next(t), "the zombie wakes and ends")
	require.Equal(t, fresh, find(t, tree, "x").PID)
	done := make(chan struct{})
	system.Root.Send(actor.NewPID(fresh.Address, fresh.Id), do(func(actor.Context) { close(done) }))
	receive(t, done, "its successor is still reachable by name")
	stop(t, tree)
}

// TestTrapShutdownTwice: protoactor's system Shutdown stops no actor and
// panics the second time. A tree stops its actors, as often as one likes.
func TestTrapShutdownTwice(t *testing.T) {
	d, system := newDiary(), newSystem()
	tree := start(t, system, supervision.Spec{Children: []supervision.ChildSpec{{ID: "x", Start: d.writer("x")}}})
	first, second := stopping(t, tree), stopping(t, tree)
	require.NoError(t, receive(t, first, "one Stop"))
	require.NoError(t, receive(t, second, "the other Stop"))
	require.NoError(t, tree.Stop(testContext(t)))
	require.Equal(t, []string{"x started", "x stopped"}, d.rest())
}

// TestTrapDuplicateName: protoactor builds the actor before it looks whether
// its name is free.
func TestTrapDuplicateName(t *testing.T) {
	system := newSystem()
	tree := start(t, system, supervision.Spec{Children: []supervision.ChildSpec{child("x", supervision.Permanent)}})
	pid := find(t, tree, "x").PID
	again, err := tree.StartChild(testContext(t), supervision.ChildSpec{ID: "x", Start: func() actor.Actor {
		t.Error("an actor was made for a name that is taken")
		return obedient()
	}})
	require.ErrorIs(t, err, supervision.ErrDuplicateID)
	require.Equal(t, pid, again)
	watcher, heard := inbox(t, system)
	system.Root.Send(tree.PID(), &supervision.StartTemporary{ID: "x", Actor: obedient(), ReplyTo: watcher})
	refused, ok := receive(t, heard, "the refusal").(*supervision.Started)
	require.True(t, ok)
	require.ErrorIs(t, refused.Err, supervision.ErrDuplicateID)
	stop(t, tree)
}

func stopping(t *testing.T, tree *supervision.Tree) <-chan error {
	result := make(chan error, 1)
	go func() { result <- tree.Stop(testContext(t)) }()
	return result
}
