package e2e_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// What happens to opens while all slots are busy.

func TestOpensWaitInOrder(t *testing.T) {
	rig.EachPath(t, func(t *testing.T, p rig.Path) {
		site, ctx := rig.NewSite(t, p), rig.Context(t)
		site.Broker()
		site.Worker(rig.Services{"echo": echo}, rig.Slots(1))
		clients := []*assigner.Client{site.Client(), site.Client()}
		h := open(t, ctx, clients[0], "echo")
		const n = 6
		var waits []<-chan opening
		for i := range n {
			waits = append(waits, openLater(ctx, clients[i%2], "echo"))
			rig.Until(t, "the open waits", func() bool { return waitingOpens(t, ctx, clients[0], "echo") == i+1 })
		}
		for i, w := range waits {
			for _, later := range waits[i:] {
				require.Empty(t, later, "open %d is not served before its turn", i)
			}
			require.NoError(t, h.Close(ctx))
			o := rig.Receive(t, w, fmt.Sprintf("the open %d", i))
			require.NoError(t, o.err)
			h = o.hit
			requireReply(t, ctx, h, "mine", "mine")
		}
	})
}

func TestAnOpenThatWaitsTooLong(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	b := site.Broker(func(c *assigner.BrokerConfig) { c.MaxWait = soon })
	d := newDiary()
	w := site.Worker(rig.Services{"diary": d.service(), "echo": echo}, rig.Slots(1))
	c := site.Client()
	h := open(t, ctx, c, "echo")
	_, err := c.Open(ctx, "diary") // the context would wait for long: the broker's own limit
	e := requireError(t, err, assigner.ErrExpired, assigner.NeverStarted)
	require.Contains(t, e.text, `no slot of service "diary" was free in time: 1 slots`)
	_, err = c.Do(ctx, "diary", nil)
	requireError(t, err, assigner.ErrExpired, assigner.NeverStarted)
	require.NoError(t, h.Close(ctx))
	rig.Until(t, "the slot is free", func() bool { return w.Busy() == 0 })
	_, err = c.Do(ctx, "diary", []byte("the first"))
	require.NoError(t, err)
	d.expect(t, "open")
	d.expect(t, "call the first")
	require.EqualValues(t, 2, status(t, ctx, c).Totals.Expired)
	require.EqualValues(t, 2, b.Counters()["refused_expired"])
}

func TestTheQueueIsBounded(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	b := site.Broker(func(c *assigner.BrokerConfig) { c.MaxQueue = 2 })
	site.Worker(rig.Services{"echo": echo}, rig.Slots(1))
	c := site.Client()
	h := open(t, ctx, c, "echo")
	first := openLater(ctx, c, "echo")
	rig.Until(t, "the first waits", func() bool { return waitingOpens(t, ctx, c, "echo") == 1 })
	second := openLater(ctx, c, "echo")
	rig.Until(t, "the second waits", func() bool { return waitingOpens(t, ctx, c, "echo") == 2 })
	_, err := c.Open(ctx, "echo")
	e := requireError(t, err, assigner.ErrQueueFull, assigner.NeverStarted)
	require.Contains(t, e.text, `2 hits wait for one of the 1 slots of service "echo", the limit is 2`)
	require.EqualValues(t, 1, b.Counters()["refused_queue-full"])
	require.NoError(t, h.Close(ctx))
	o := rig.Receive(t, first, "the first")
	require.NoError(t, o.err)
	require.NoError(t, o.hit.Close(ctx))
	require.NoError(t, rig.Receive(t, second, "the second").err)
}

func TestAnOpenThatIsGivenUpLeaksNoSlot(t *testing.T) {
	rig.EachPath(t, func(t *testing.T, p rig.Path) {
		site, ctx := rig.NewSite(t, p), rig.Context(t)
		site.Broker()
		w := site.Worker(rig.Services{"echo": echo}, rig.Slots(1))
		c := site.Client()
		h := open(t, ctx, c, "echo")
		impatient, giveUp := context.WithCancel(ctx)
		waits := openLater(impatient, c, "echo")
		rig.Until(t, "the open waits", func() bool { return waitingOpens(t, ctx, c, "echo") == 1 })
		giveUp()
		o := rig.Receive(t, waits, "the open")
		require.ErrorIs(t, o.err, context.Canceled)
		require.ErrorIs(t, o.err, assigner.ErrCancelled)
		rig.Until(t, "nobody waits", func() bool { return waitingOpens(t, ctx, c, "echo") == 0 })
		require.NoError(t, h.Close(ctx))
		rig.Until(t, "the slot is free", func() bool { return w.Busy() == 0 })
		requireReply(t, ctx, open(t, ctx, c, "echo"), "x", "x")
	})
}

// TestOpenAndCloseInOneBreath: the worker gets END before the hit has an actor there, and must not forget it.
func TestOpenAndCloseInOneBreath(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	site.Broker()
	d := newDiary()
	w := site.Worker(rig.Services{"diary": d.service(), "echo": echo}, rig.Slots(2))
	requireReply(t, ctx, open(t, ctx, site.Client(), "echo"), "x", "x")
	peer := rig.NewRaw(t, site.Clients).Hello()
	for ref := range uint64(50) {
		peer.Say(opener(ref+1, 0), []byte("diary"), nil)
		peer.Say(wire.Header{Type: wire.Close, Flags: wire.Ref, Hit: ref + 1})
		said := peer.Hear(wire.Error, wire.Opened)
		if said.Type == wire.Error {
			require.Equal(t, wire.Cancelled, said.Status)
			continue
		}
		peer.Say(toHit(wire.Close, said.Handle(), said.Epoch, 0)) // CLOSE came after all was done, and had no effect
		require.Equal(t, wire.OK, peer.Hear(wire.Closed).Status)
	}
	rig.Until(t, "the slot is free", func() bool { return w.Busy() == 1 })
	close(d.notes)
	open := 0
	for n := range d.notes {
		open += map[string]int{"open": 1, "close": -1}[n.what]
	}
	require.Zero(t, open, "each session that was opened was closed")
}

// TestAnOpenThatIsGivenUpWhileItIsServed races the end of a context against OPENED: whoever wins, the slot is free in the end.
func TestAnOpenThatIsGivenUpWhileItIsServed(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	site.Broker()
	begun, goOn := make(chan struct{}), make(chan struct{})
	w := site.Worker(rig.Services{"slow": {Open: func(context.Context, *assigner.Opening) (assigner.Session, error) {
		begun <- struct{}{}
		<-goOn
		return &page{newDiary(), 0}, nil
	}}}, rig.Slots(1))
	c := site.Client()
	for range 20 {
		impatient, giveUp := context.WithCancel(ctx)
		waits := openLater(impatient, c, "slow")
		rig.Receive(t, begun, "the open to begin")
		go giveUp()
		goOn <- struct{}{}
		if o := rig.Receive(t, waits, "the open"); o.err == nil {
			require.NoError(t, o.hit.Close(ctx))
		} else {
			require.ErrorIs(t, o.err, context.Canceled)
		}
		rig.Until(t, "the slot is free", func() bool { return w.Busy() == 0 })
	}
	rig.Until(t, "the broker knows of no hit", func() bool { return status(t, ctx, c).Hits == 0 })
}
