package host_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/host"
)

// These tests pin down what the engine gets wrong with its own mailboxes; each is named after the trap.

// spawnrace: a sender that knows the name beats RegisterHandlers; the engine's mailbox panics in the sender.
func TestSpawnRace(t *testing.T) {
	system := newSystem(t)
	got := make(chan any, 10)
	early := func(c actor.Context) { c.Send(actor.NewPID(system.Address(), "known"), "early") }
	pid, err := system.Root.SpawnNamed(actor.PropsFromFunc(func(c actor.Context) { got <- c.Message() },
		actor.WithOnInit(early),
		actor.WithMailbox(host.Mailbox(host.MailboxConfig{})),
		actor.WithDispatcher(newGoroutines(t, 10))), "known")
	require.NoError(t, err)
	require.IsType(t, &actor.Started{}, receive(t, got))
	require.Equal(t, "early", receive(t, got))
	stop(t, system, pid)
}

// gated is an actor that handles the integer 0 only when it is let.
type gated struct {
	entered, leave chan struct{}
	handled        chan int
	then           func() // runs when 0 has been let through
}

func newGated() *gated {
	return &gated{entered: make(chan struct{}), leave: make(chan struct{}), handled: make(chan int, 100), then: func() {}}
}

func (g *gated) Receive(c actor.Context) {
	n, ok := c.Message().(int)
	if !ok {
		return
	}
	g.handled <- n
	if n == 0 {
		close(g.entered)
		<-g.leave
		g.then()
	}
}

// spawnGated spawns the actor, sends it 0 and, once that blocks, the integers from 1 to last.
func spawnGated(t *testing.T, system *actor.ActorSystem, g *gated, last int, options ...actor.PropsOption) *actor.PID {
	pid := system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return g }, options...))
	system.Root.Send(pid, 0)
	receive(t, g.entered)
	for i := 1; i <= last; i++ {
		system.Root.Send(pid, i)
	}
	return pid
}

// droponstop: what waits when an actor is stopped becomes dead letters, each exactly once.
func TestQueuedMessagesOfAStoppedActorAreDeadLetters(t *testing.T) {
	system, d, g := newSystem(t), newGoroutines(t, 3), newGated()
	pid := spawnGated(t, system, g, 9, actor.WithMailbox(host.Mailbox(host.MailboxConfig{})), actor.WithDispatcher(d))
	letters := deadLetters(t, system, pid.Id)
	box, err := host.BoxOf(system, pid)
	require.NoError(t, err)
	process, _ := system.ProcessRegistry.Get(pid)

	stopped := system.Root.StopFuture(pid)
	close(g.leave)
	require.NoError(t, stopped.Wait())
	for i := 1; i <= 9; i++ {
		require.Equal(t, i, receive(t, letters))
	}
	await(t, d.Wait)
	require.Len(t, g.handled, 1)
	require.EqualValues(t, 9, box.Stats().Rejected)
	require.True(t, box.Stats().Stopped)

	process.SendUserMessage(pid, 10) // by somebody who still holds the process
	require.Equal(t, 10, receive(t, letters))
	require.ErrorIs(t, box.TryPost(11), host.ErrStopped)
	require.Empty(t, letters)
}

// stoppedpanic: even when the actor panics in its very last message, what waits becomes dead letters.
func TestQueueIsEmptiedWhenTheStoppedHandlerPanics(t *testing.T) {
	system, d := newSystem(t), newGoroutines(t, 10)
	entered, leave := make(chan struct{}), make(chan struct{})
	pid := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch c.Message().(type) {
		case int:
			close(entered)
			<-leave
		case *actor.Stopped:
			explode()
		}
	}, actor.WithMailbox(host.Mailbox(host.MailboxConfig{})), actor.WithDispatcher(d)))
	letters := deadLetters(t, system, pid.Id)
	system.Root.Send(pid, 0)
	receive(t, entered)
	system.Root.Send(pid, "left over")
	system.Root.Stop(pid)
	close(leave)
	for message := receive(t, letters); message != "left over"; message = receive(t, letters) {
		require.NotNil(t, message) // the engine's own messages to the dead actor are dead letters too
	}
}

// An ask that waits in the queue of a stopped actor is answered at once.
func TestQueuedRequestOfAStoppedActorIsAnswered(t *testing.T) {
	system, g := newSystem(t), newGated()
	pid := spawnGated(t, system, g, 0, actor.WithMailbox(host.Mailbox(host.MailboxConfig{})),
		actor.WithDispatcher(newGoroutines(t, 3)))
	answer := system.Root.RequestFuture(pid, "anybody there?", patience)
	system.Root.Stop(pid)
	close(g.leave)
	_, err := answer.Result()
	require.ErrorIs(t, err, actor.ErrDeadLetter)
}

// The name of a stopped actor is taken by another one before the mailbox can look it up.
func TestStopIsNoticedWhenTheNameIsTakenAgain(t *testing.T) {
	system, d := newSystem(t), newGoroutines(t, 10)
	entered, leave, successor := make(chan struct{}), make(chan struct{}), make(chan *actor.PID, 1)
	pid, err := system.Root.SpawnNamed(actor.PropsFromFunc(func(c actor.Context) {
		switch c.Message().(type) {
		case int:
			close(entered)
			<-leave
		case *actor.Stopped:
			next, err := system.Root.SpawnNamed(actor.PropsFromFunc(func(actor.Context) {}), "name")
			if err == nil {
				successor <- next
			}
		}
	}, actor.WithMailbox(host.Mailbox(host.MailboxConfig{})), actor.WithDispatcher(d)), "name")
	require.NoError(t, err)
	letters := deadLetters(t, system, "name")
	system.Root.Send(pid, 0)
	receive(t, entered)
	system.Root.Send(pid, "left over")
	system.Root.Stop(pid)
	close(leave)
	next := receive(t, successor)
	require.Equal(t, "left over", receive(t, letters))
	stop(t, system, next)
}

// bounded and boundedstop: a full mailbox keeps no sender, not even when the actor fails and is stopped.
func TestFullMailboxOfAFailingActorKeepsNoSender(t *testing.T) {
	system, d, g := newSystem(t), newGoroutines(t, 10), newGated()
	g.then = func() { panic("stop me") }
	letters := make(chan any, 100)
	pid := spawnGated(t, system, g, 19, actor.WithDispatcher(d),
		actor.WithGuardian(actor.NewOneForOneStrategy(0, 0, actor.DefaultDecider)),
		actor.WithMailbox(host.Mailbox(host.MailboxConfig{Capacity: 4, OnReject: func(_ *actor.PID, message any, _ error) {
			letters <- message
		}})))
	for i := 5; i <= 19; i++ {
		require.Equal(t, i, receive(t, letters))
	}
	err := host.TrySend(system, pid, 20)
	require.ErrorIs(t, err, host.ErrMailboxFull)
	require.ErrorContains(t, err, pid.Id)

	close(g.leave)
	for i := 1; i <= 4; i++ {
		require.Equal(t, i, receive(t, letters))
	}
	await(t, d.Wait)
	require.Empty(t, letters)
	require.Len(t, g.handled, 1)
	require.ErrorIs(t, host.TrySend(system, pid, 21), host.ErrStopped)
}

// afterstopping: an actor that waits for its children still handles user messages. That is the engine's way, and
// what lets a supervisor act on a child that does not stop.
func TestStoppingActorHandlesMessagesUntilItsChildrenAreGone(t *testing.T) {
	system, d := newSystem(t), newGoroutines(t, 10)
	stopping, childMayStop := make(chan struct{}), make(chan struct{})
	handled := make(chan int, 10)
	child := actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(*actor.Stopping); ok {
			<-childMayStop
		}
	}, actor.WithMailbox(host.Mailbox(host.MailboxConfig{})), actor.WithDispatcher(d))
	pid := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch message := c.Message().(type) {
		case *actor.Started:
			c.Spawn(child)
		case *actor.Stopping:
			close(stopping)
		case int:
			handled <- message
		}
	}, actor.WithMailbox(host.Mailbox(host.MailboxConfig{})), actor.WithDispatcher(d)))
	box, err := host.BoxOf(system, pid)
	require.NoError(t, err)

	stopped := system.Root.StopFuture(pid)
	receive(t, stopping)
	for i := range 5 {
		require.NoError(t, box.TryPost(i))
	}
	for i := range 5 {
		require.Equal(t, i, receive(t, handled))
	}
	require.False(t, box.Stats().Stopped)
	close(childMayStop)
	require.NoError(t, stopped.Wait())
	await(t, d.Wait)
	require.ErrorIs(t, box.TryPost(5), host.ErrStopped)
}

// explode is a name to look for in a stack.
func explode() { panic("no reply slot") }

func TestSupervisorGetsThePanicWithItsStack(t *testing.T) {
	system, g := newSystem(t), newGated()
	g.then = explode
	reasons := make(chan any, 1)
	stopWith := func(reason any) actor.Directive {
		reasons <- reason
		return actor.StopDirective
	}
	spawnGated(t, system, g, 0, actor.WithDispatcher(newGoroutines(t, 10)),
		actor.WithGuardian(actor.NewOneForOneStrategy(10, 0, stopWith)),
		actor.WithMailbox(host.Mailbox(host.MailboxConfig{})))
	close(g.leave)
	reason, ok := receive(t, reasons).(interface {
		error
		PanicStack() []byte
	})
	require.True(t, ok)
	require.EqualError(t, reason, "panic: no reply slot")
	require.Contains(t, string(reason.PanicStack()), "host_test.explode")
}

// guardianescalate and guardianallforone: the engine's guardian panics when it is asked to judge, which ends the
// process. The actor is stopped instead.
func TestActorWhoseGuardianPanicsIsStopped(t *testing.T) {
	escalate := func(any) actor.Directive { return actor.EscalateDirective }
	for name, strategy := range map[string]actor.SupervisorStrategy{
		"escalate":    actor.NewOneForOneStrategy(10, 0, escalate),
		"all for one": actor.NewAllForOneStrategy(10, 0, actor.DefaultDecider),
	} {
		t.Run(name, func(t *testing.T) {
			system, d, g := newSystem(t), newGoroutines(t, 10), newGated()
			g.then = explode
			pid := spawnGated(t, system, g, 2, actor.WithDispatcher(d), actor.WithGuardian(strategy),
				actor.WithMailbox(host.Mailbox(host.MailboxConfig{})))
			letters := deadLetters(t, system, pid.Id)
			close(g.leave)
			require.Equal(t, 1, receive(t, letters))
			require.Equal(t, 2, receive(t, letters))
			await(t, d.Wait)
			require.ErrorIs(t, host.TrySend(system, pid, 3), host.ErrStopped)
		})
	}
}

func TestTrySendReachesTheActorWithItsSender(t *testing.T) {
	system, d := newSystem(t), newGoroutines(t, 10)
	pid := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if text, ok := c.Message().(string); ok {
			c.Respond("echo " + text)
		}
	}, actor.WithMailbox(host.Mailbox(host.MailboxConfig{})), actor.WithDispatcher(d)))
	answer := actor.NewFuture(system, patience)
	require.NoError(t, host.TrySend(system, pid, &actor.MessageEnvelope{Message: "hello", Sender: answer.PID()}))
	got, err := answer.Result()
	require.NoError(t, err)
	require.Equal(t, "echo hello", got)
	stop(t, system, pid)
}

func TestBoxOfForeignAndUnknownActors(t *testing.T) {
	system := newSystem(t)
	foreign := system.Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
	_, err := host.BoxOf(system, foreign)
	require.ErrorIs(t, err, host.ErrForeignMailbox)
	future := actor.NewFuture(system, patience)
	require.ErrorIs(t, host.TrySend(system, future.PID(), "hello"), host.ErrForeignMailbox)
	system.Root.Send(future.PID(), "done") // the visit has not completed it
	got, err := future.Result()
	require.NoError(t, err)
	require.Equal(t, "done", got)

	_, err = host.BoxOf(system, actor.NewPID(system.Address(), "nobody"))
	require.ErrorIs(t, err, host.ErrStopped)
	require.ErrorContains(t, err, "nobody")
	_, err = host.BoxOf(system, nil)
	require.ErrorIs(t, err, host.ErrStopped)
	stop(t, system, foreign)
}

func TestGoroutinesWaitNamesWhatRuns(t *testing.T) {
	d := host.Goroutine(0)
	require.Equal(t, host.DefaultThroughput, d.Throughput())
	await(t, d.Wait)
	release := make(chan struct{})
	d.Schedule(func() { <-release })
	d.Schedule(func() { <-release })
	canceled, cancel := context.WithCancelCause(context.Background())
	cancel(fmt.Errorf("out of patience"))
	err := d.Wait(canceled)
	require.ErrorContains(t, err, "still running: 2")
	require.ErrorContains(t, err, "out of patience")
	require.Equal(t, 2, d.Running())
	close(release)
	await(t, d.Wait)
	require.Zero(t, d.Running())
}
