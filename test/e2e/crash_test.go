package e2e_test

import (
	"log/slog"
	"regexp"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// What the crash of one of the broker's actors does: exactly what it must, and nothing else.

// newSystem returns an actor system through which a test reaches the broker's actors.
func newSystem() *actor.ActorSystem {
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }),
		actor.WithDeadLetterThrottleInterval(time.Microsecond))
}

// crashActor has an actor of the broker's tree crash.
func crashActor(t *testing.T, system *actor.ActorSystem, pattern string) {
	t.Helper()
	name := regexp.MustCompile(pattern)
	var found *actor.PID
	rig.Until(t, "there is an actor "+pattern, func() bool {
		for _, part := range system.ProcessRegistry.LocalPIDs.LocalPIDs {
			for _, id := range part.Keys() {
				if name.MatchString(id) {
					found = actor.NewPID(system.Address(), id)
				}
			}
		}
		return found != nil
	})
	system.Root.Send(found, actors.Fault{Text: "as the test wants"})
}

func TestCrashOfOneHitsActor(t *testing.T) {
	rig.EachPath(t, func(t *testing.T, p rig.Path) {
		site, ctx, system := rig.NewSite(t, p), rig.Context(t), newSystem()
		site.Broker(func(c *assigner.BrokerConfig) { c.System = system })
		d := waitingDiary()
		w := site.Worker(rig.Services{"diary": d.service(), "echo": echo}, rig.Slots(3))
		c := site.Client()
		other, h, second := open(t, ctx, c, "echo"), open(t, ctx, c, "diary"), open(t, ctx, c, "echo")
		d.expect(t, "open")
		running := callLater(ctx, h, "x")
		d.expect(t, "call x")
		name := row(t, ctx, c, h).Actor
		require.NotEmpty(t, name)
		system.Root.Send(actor.NewPID(system.Address(), name), actors.Fault{Text: "as the test wants"})

		e := requireError(t, rig.Receive(t, running, "the call").err, assigner.ErrInternal, assigner.Unknown)
		require.Contains(t, e.text, "as the test wants")
		require.Equal(t, "CRASHED", e.why.Verdict)
		_, err := h.Call(ctx, nil)
		requireError(t, err, assigner.ErrInternal, assigner.NeverStarted)
		require.Equal(t, h.Thread(), d.expect(t, "close"), "the session is closed on its thread")
		rig.Until(t, "the slot is free", func() bool { return w.Busy() == 2 })
		requireReply(t, ctx, other, "a", "a")
		requireReply(t, ctx, second, "b", "b")
		requireReply(t, ctx, open(t, ctx, c, "echo"), "the third slot", "the third slot")
		s := status(t, ctx, c)
		require.EqualValues(t, 1, s.Totals.Crashed)
		require.Equal(t, 3, s.Hits)
	})
}

// TestCrashOfAWorkersActor: it is the loss of that worker, which registers again; others are untouched.
func TestCrashOfAWorkersActor(t *testing.T) {
	site, ctx, system := rig.NewSite(t, rig.TCP), rig.Context(t), newSystem()
	b := site.Broker(func(c *assigner.BrokerConfig) { c.System = system })
	c := site.Client()
	hits := make(map[string]*assigner.Hit)
	for _, name := range []string{"one", "two"} {
		site.Worker(rig.Services{name: echo}, rig.Named(name), rig.Slots(1))
		hits[name] = open(t, ctx, c, name)
	}
	crashActor(t, system, "/"+actors.WorkersChild+"-[0-9]+/")
	lost := ""
	rig.Until(t, "one of the hits is lost", func() bool {
		for name, h := range hits {
			if _, err := h.Call(ctx, nil); err != nil {
				lost = name
			}
		}
		return lost != ""
	})
	_, err := hits[lost].Call(ctx, nil)
	requireError(t, err, assigner.ErrWorkerGone, assigner.NeverStarted)
	requireReply(t, ctx, open(t, ctx, c, lost), "back", "back")
	delete(hits, lost)
	for _, h := range hits {
		requireReply(t, ctx, h, "untouched", "untouched")
	}
	require.EqualValues(t, 1, status(t, ctx, c).Totals.Lost)
	require.EqualValues(t, 1, b.Counters()["peers_lost"])
}

// TestCrashOfTheBrokersActor ends the broker, which says so: its parent starts afresh.
func TestCrashOfTheBrokersActor(t *testing.T) {
	site, ctx, system := rig.NewSite(t, rig.TCP), rig.Context(t), newSystem()
	cfg := site.BrokerConfig()
	cfg.System = system
	b, err := assigner.NewBroker(cfg)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- b.Serve(ctx) }()
	w := site.Worker(rig.Services{"echo": echo})
	c := site.Client()
	h := open(t, ctx, c, "echo")
	crashActor(t, system, "/"+actors.BrokerChild+"-[0-9]+$")
	err = rig.Receive(t, ended, "the broker's end")
	require.ErrorContains(t, err, "as the test wants")
	rig.Until(t, "the hit is lost", func() bool {
		_, err := h.Call(ctx, nil)
		return err != nil
	})
	_, err = h.Call(ctx, nil)
	requireError(t, err, assigner.ErrBrokerGone, assigner.NeverStarted)
	rig.Until(t, "the slot is free", func() bool { return w.Busy() == 0 })
	site.Broker()
	requireReply(t, ctx, open(t, ctx, c, "echo"), "afresh", "afresh")
}

// TestKilledByAnOperator: the client is told at once, the handler's context ends, and the slot is free.
func TestKilledByAnOperator(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	b := site.Broker()
	d := waitingDiary()
	w := site.Worker(rig.Services{"diary": d.service(), "echo": echo}, rig.Slots(2))
	c := site.Client()
	other, h := open(t, ctx, c, "echo"), open(t, ctx, c, "diary")
	d.expect(t, "open")
	running := callLater(ctx, h, "x")
	d.expect(t, "call x")
	_, err := b.Administer(ctx, machine.AdminRequest{Cmd: "hit.kill", Hit: row(t, ctx, c, h).Hit, By: "the test"})
	require.NoError(t, err)
	e := requireError(t, rig.Receive(t, running, "the call").err, assigner.ErrKilled, assigner.Unknown)
	require.Contains(t, e.text, "the test")
	require.Equal(t, "KILLED", e.why.Verdict)
	require.Equal(t, h.Thread(), d.expect(t, "close"))
	rig.Until(t, "the slot is free", func() bool { return w.Busy() == 1 })
	requireReply(t, ctx, other, "untouched", "untouched")
}
