package supervision_test

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/supervision"
)

func TestDynamicChildFromOutside(t *testing.T) {
	d, system := newDiary(), newSystem()
	tree := start(t, system, supervision.Spec{Children: []supervision.ChildSpec{{ID: "a", Start: d.writer("a")}}})
	pid, err := tree.StartChild(testContext(t), supervision.ChildSpec{ID: "b", Start: d.writer("b")})
	require.NoError(t, err)
	require.Equal(t, []string{"a started", "b started"}, d.rest(), "StartChild returns after the start")
	require.Equal(t, tree.PID().Id+"/b-2", pid.Id)
	require.NoError(t, tree.StopChild(testContext(t), "a"))
	require.Equal(t, []string{"a stopped"}, d.rest())
	require.ErrorIs(t, tree.StopChild(testContext(t), "a"), supervision.ErrNoChild)
	_, err = tree.StartChild(testContext(t), supervision.ChildSpec{ID: "c"})
	require.ErrorContains(t, err, "Start is nil")
	stop(t, tree)
	_, err = tree.StartChild(testContext(t), supervision.ChildSpec{ID: "d", Start: d.writer("d")})
	require.ErrorIs(t, err, supervision.ErrStopping)
	require.ErrorIs(t, tree.StopChild(testContext(t), "b"), supervision.ErrStopping)
	require.Equal(t, []string{"b stopped"}, d.rest())
}

func TestFailedDynamicStartIsNotRestarted(t *testing.T) {
	tree := start(t, newSystem(), supervision.Spec{})
	for _, restart := range []supervision.Restart{supervision.Permanent, supervision.Temporary} {
		_, err := tree.StartChild(testContext(t), supervision.ChildSpec{
			ID: "x", Start: panicsIn[*actor.Started], Restart: restart,
		})
		var failed supervision.StartFailed
		require.ErrorAs(t, err, &failed)
		require.Equal(t, "x", failed.ID)
		require.IsType(t, supervision.Panic{}, failed.Cause)
	}
	require.Empty(t, find(t, tree).Children)
	stop(t, tree)
}

// TestEverythingOnOneGoroutine runs a tree and the actor that uses it on one
// lane, like a broker's loop: nobody may wait for anybody.
func TestEverythingOnOneGoroutine(t *testing.T) {
	l, d, system := newLane(), newDiary(), newSystem()
	onLane := []actor.PropsOption{actor.WithDispatcher(l)}
	hit := func(name string) actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *actor.Started:
				d.write("%s started", name)
			case string:
				d.write("%s got %s", name, m)
				if m == "crash" {
					panic(m)
				}
			}
		})
	}
	broker := system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case func(actor.Context):
			m(ctx)
		case *supervision.Started:
			d.write("broker: started %s %v", m.ID, m.Err)
		case *supervision.ChildStopped:
			d.write("broker: stopped %s %v", m.ID, m.Reason)
		case *supervision.Exited:
			d.write("broker: exited %s %v", m.ID, m.Reason)
		}
	}, onLane...))
	tree := start(t, system, supervision.Spec{Observer: broker, Options: onLane, ChildOptions: onLane})
	request := func(m any) {
		system.Root.Send(broker, do(func(ctx actor.Context) { ctx.Request(tree.PID(), m) }))
	}
	expect := func(lines ...string) {
		t.Helper()
		for _, line := range lines {
			require.Equal(t, line, d.next(t))
		}
	}
	request(&supervision.StartTemporary{ID: "1", Actor: hit("1"), First: "first"})
	expect("1 started", "1 got first", "broker: started 1 <nil>")
	system.Root.Send(find(t, tree, "1").PID, "crash")
	expect("1 got crash", "broker: exited 1 panic: crash")

	request(&supervision.StartTemporary{ID: "2", Actor: hit("2")})
	request(&supervision.StopChild{ID: "2"})
	expect("2 started", "broker: started 2 <nil>", "broker: exited 2 shutdown", "broker: stopped 2 shutdown")

	request(&supervision.StartTemporary{ID: "bad", Actor: panicsIn[*actor.Started]()})
	expect(`broker: started bad child "bad" did not start: panic: boom in *actor.Started`,
		`broker: exited bad child "bad" did not start: panic: boom in *actor.Started`)
	request(&supervision.StartTemporary{ID: "none"})
	require.Contains(t, d.next(t), "there is no actor")
	require.Contains(t, d.next(t), "broker: exited none")
	request(&supervision.StopChild{ID: "3"})
	expect("broker: stopped 3 <nil>")

	full := supervision.ChildSpec{ID: "4", Start: func() actor.Actor { return hit("4") }}
	request(&supervision.StartChild{Spec: full, First: "first"})
	expect("4 started", "4 got first", "broker: started 4 <nil>")
	stop(t, tree)
	expect("broker: exited 4 shutdown")
	require.NoError(t, system.Root.StopFuture(broker).Wait())
	l.close()
}

func TestStartsBeforeTheStaticChildrenAreUpMustWait(t *testing.T) {
	d, system := newDiary(), newSystem()
	self := make(chan *actor.PID, 1)
	hold := make(chan struct{})
	slow := func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); ok {
				self <- ctx.Parent()
				<-hold
				d.write("slow started")
			}
		})
	}
	result := make(chan *supervision.Tree, 1)
	go func() {
		tree, err := supervision.Start(testContext(t), system, supervision.Spec{
			Children: []supervision.ChildSpec{{ID: "slow", Start: slow}},
		})
		if err != nil {
			t.Error(err)
		}
		result <- tree
	}()
	pid := <-self
	system.Root.Send(pid, &supervision.StartTemporary{ID: "small", Actor: d.writer("small")()})
	system.Root.Send(pid, &supervision.StartChild{Spec: supervision.ChildSpec{ID: "full", Start: d.writer("full")}})
	require.Len(t, flush(t, system, pid), 1)
	close(hold)
	tree := receive(t, result, "Start to return")
	require.Len(t, flush(t, system, pid), 3)
	require.Equal(t, "slow started", d.next(t))
	require.ElementsMatch(t, []string{"small started", "full started"}, []string{d.next(t), d.next(t)})
	stop(t, tree)
}

func TestWatch(t *testing.T) {
	c, system := newClock(), newSystem()
	watcher, heard := inbox(t, system)
	tree := start(t, system, supervision.Spec{Clock: c.spec(), Children: []supervision.ChildSpec{
		child("x", supervision.Permanent), child("y", supervision.Permanent),
	}})
	for range 2 { // twice is once
		system.Root.Send(tree.PID(), &supervision.Watch{ID: "x", Watcher: watcher})
	}
	system.Root.Send(tree.PID(), &supervision.StartTemporary{ID: "small", Actor: obedient()})
	system.Root.Send(tree.PID(), &supervision.Watch{ID: "small", Watcher: watcher})
	system.Root.Send(tree.PID(), &supervision.Watch{ID: "nobody", Watcher: watcher})
	require.Equal(t, &supervision.Exited{ID: "nobody", Reason: supervision.Error{Err: supervision.ErrNoChild}},
		receive(t, heard, "the answer"))

	x, small := find(t, tree, "x").PID, find(t, tree, "small").PID
	system.Root.Send(small, do(func(ctx actor.Context) { supervision.Exit(ctx, supervision.Normal{}) }))
	require.Equal(t, &supervision.Exited{ID: "small", PID: small, Reason: supervision.Normal{}},
		receive(t, heard, "the end of small"))
	system.Root.Send(x, do(func(ctx actor.Context) { supervision.Exit(ctx, supervision.Normal{}) }))
	require.Equal(t, &supervision.Exited{ID: "x", PID: x, Reason: supervision.Normal{}, Restarting: true},
		receive(t, heard, "the end of x"))
	c.ring(t)
	again, ok := receive(t, heard, "the restart of x").(*supervision.Started)
	require.True(t, ok)
	require.Equal(t, find(t, tree, "x").PID, again.PID)

	system.Root.Send(tree.PID(), &supervision.Unwatch{ID: "x", Watcher: watcher})
	flush(t, system, tree.PID())
	require.NoError(t, tree.StopChild(testContext(t), "x"))
	require.Empty(t, heard)
	stop(t, tree)
}

func TestUnknownMessagesAreDeadLetters(t *testing.T) {
	system := newSystem()
	dead := make(chan any, 10)
	system.EventStream.Subscribe(func(e any) {
		if l, ok := e.(*actor.DeadLetterEvent); ok {
			dead <- l.Message
		}
	})
	tree := start(t, system, supervision.Spec{})
	system.Root.Send(tree.PID(), "what is this")
	require.Equal(t, "what is this", receive(t, dead, "the dead letter"))
	stop(t, tree)
	require.Empty(t, dead, "starting and stopping makes no dead letters")
}

func TestPanicInOnExitHarmsNobody(t *testing.T) {
	called := make(chan struct{}, 10)
	tree := start(t, newSystem(), supervision.Spec{
		OnExit:   func(supervision.Exited) { called <- struct{}{}; panic("hook") },
		Children: []supervision.ChildSpec{child("a", supervision.Permanent), child("b", supervision.Permanent)},
	})
	stop(t, tree)
	require.Len(t, called, 2)
}
