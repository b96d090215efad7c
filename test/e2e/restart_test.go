package e2e_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// What a broker's end does to those who talk through it, and how they find its successor by themselves.

func TestBrokerRestart(t *testing.T) {
	rig.EachPath(t, func(t *testing.T, p rig.Path) {
		site, ctx := rig.NewSite(t, p), rig.Context(t)
		first := site.Broker()
		held, d := newHold(), newDiary()
		w := site.Worker(rig.Services{"hold": held.service(), "diary": d.service()}, rig.Slots(3))
		c := site.Client()
		busy, idle, quiet := open(t, ctx, c, "hold"), open(t, ctx, c, "hold"), open(t, ctx, c, "diary")
		thread := d.expect(t, "open")
		running := callLater(ctx, busy, "key")
		held.awaitInside(t, "key")

		require.NoError(t, first.Close(ctx))
		r := rig.Receive(t, running, "the end of the running call")
		requireError(t, r.err, assigner.ErrBrokerGone, assigner.Unknown)
		require.Equal(t, thread, d.expect(t, "close"), "the session ends on its thread")
		rig.Until(t, "the worker's slots are free", func() bool { return w.Busy() == 0 })
		for _, h := range []*assigner.Hit{busy, idle, quiet} {
			require.ErrorIs(t, h.Close(ctx), assigner.ErrBrokerGone)
			_, err := h.Call(ctx, nil)
			requireError(t, err, assigner.ErrBrokerGone, assigner.NeverStarted)
		}
		waiting := openLater(ctx, c, "hold") // while there is no broker
		site.Broker()
		o := rig.Receive(t, waiting, "the open at the new broker")
		require.NoError(t, o.err)
		held.free("again")
		requireReply(t, ctx, o.hit, "again", "freed again")
		require.NotEqual(t, busy.Handle(), o.hit.Handle(), "handles are never issued twice")
		_, err := idle.Call(ctx, nil)
		require.ErrorIs(t, err, assigner.ErrBrokerGone, "a hit of the old broker stays lost")
	})
}

func TestBrokerKilled(t *testing.T) {
	for _, transport := range []string{"tcp", "ipc"} {
		t.Run(transport, func(t *testing.T) {
			site, ctx := rig.NewSite(t, rig.Path{Transport: transport}), rig.Context(t)
			held := newHold()
			w := site.Worker(rig.Services{"hold": held.service(), "echo": echo}, rig.Slots(2))
			c := site.Client()
			for range 3 {
				p := site.BrokerAlone()
				h := open(t, ctx, c, "hold")
				running := callLater(ctx, h, "deaf")
				held.awaitInside(t, "deaf")
				waiting := callLater(ctx, h, "second")
				queued := openAllSlots(t, ctx, c, "echo", 1)
				p.Kill()
				r := rig.Receive(t, running, "the end of the running call")
				requireError(t, r.err, assigner.ErrBrokerGone, assigner.Unknown)
				requireError(t, rig.Receive(t, waiting, "the end of the waiting call").err, assigner.ErrBrokerGone, assigner.Unknown)
				requireError(t, rig.Receive(t, queued, "the end of the waiting open").err, assigner.ErrBrokerGone, assigner.NeverStarted)
				held.free("deaf")
				rig.Until(t, "the worker's slots are free", func() bool { return w.Busy() == 0 })
				held.reset("deaf")
			}
			site.BrokerAlone()
			requireReply(t, ctx, open(t, ctx, c, "echo"), "alive", "alive")
		})
	}
}

// openAllSlots opens hits until one has to wait for a slot, and returns that one.
func openAllSlots(t *testing.T, ctx context.Context, c *assigner.Client, service string, free int) <-chan opening {
	t.Helper()
	for range free {
		open(t, ctx, c, service)
	}
	waits := openLater(ctx, c, service)
	rig.Until(t, "the open waits in the queue", func() bool { return waitingOpens(t, ctx, c, service) == 1 })
	return waits
}

// TestSlotsBusyBeyondTheBrokersEnd: a worker whose slots are still busy with hits of the old broker tells the new one, which sends it no
// more than it can take.
func TestSlotsBusyBeyondTheBrokersEnd(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	first := site.Broker()
	held := newHold()
	w := site.Worker(rig.Services{"hold": held.service(), "echo": echo}, rig.Slots(2))
	c := site.Client()
	running := callLater(ctx, open(t, ctx, c, "hold"), "deaf")
	held.awaitInside(t, "deaf")
	require.NoError(t, first.Close(ctx))
	requireError(t, rig.Receive(t, running, "the end of the call").err, assigner.ErrBrokerGone, assigner.Unknown)
	second := site.Broker()
	h := open(t, ctx, c, "echo")
	require.Equal(t, 2, w.Busy(), "one slot is still busy with a hit nobody wants")
	waits := openLater(ctx, c, "echo")
	rig.Until(t, "the open waits in the queue", func() bool { return waitingOpens(t, ctx, c, "echo") == 1 })
	held.free("deaf")
	o := rig.Receive(t, waits, "the slot that the old hit leaves")
	require.NoError(t, o.err)
	requireReply(t, ctx, h, "a", "a")
	requireReply(t, ctx, o.hit, "b", "b")
	require.Zero(t, second.Counters()["refused_queue-full"])
}
