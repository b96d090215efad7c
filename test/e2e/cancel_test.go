package e2e_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// What the end of a caller's context does to its calls.

// untilCancelled is a call that goes on until its context ends.
func untilCancelled(ctx context.Context, _ *assigner.Call) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestCancelReachesTheHandler(t *testing.T) {
	rig.EachPath(t, func(t *testing.T, p rig.Path) {
		site, ctx := rig.NewSite(t, p), rig.Context(t)
		site.Broker()
		causes := make(chan error, 1)
		begun := make(chan struct{}, 1)
		site.Worker(rig.Services{"waits": {Handler: func(ctx context.Context, c *assigner.Call) ([]byte, error) {
			if string(c.Body()) == "quick" {
				return []byte("reply"), nil
			}
			begun <- struct{}{}
			<-ctx.Done()
			causes <- ctx.Err()
			return nil, ctx.Err()
		}}})
		c := site.Client()
		h := open(t, ctx, c, "waits")

		impatient, giveUp := context.WithCancel(ctx)
		running := callLater(impatient, h, "wait")
		rig.Receive(t, begun, "the call to begin")
		giveUp()
		r := rig.Receive(t, running, "the call's end")
		requireError(t, r.err, assigner.ErrCancelled, assigner.Unknown)
		require.ErrorIs(t, r.err, context.Canceled)
		require.ErrorIs(t, rig.Receive(t, causes, "the handler's end"), context.Canceled)
		requireReply(t, ctx, h, "quick", "reply") // the session goes on

		short, done := context.WithTimeout(ctx, soon)
		defer done()
		_, err := h.Call(short, []byte("wait"))
		rig.Receive(t, begun, "the second call to begin")
		requireError(t, err, assigner.ErrExpired, assigner.Unknown)
		require.Error(t, rig.Receive(t, causes, "the second handler's end"))
		requireReply(t, ctx, h, "quick", "reply")

		<-short.Done()
		_, err = h.Call(short, []byte("quick"))
		requireError(t, err, assigner.ErrExpired, assigner.NeverStarted)
	})
}

// TestAOneShotIsCancelled: while it waits for a slot, and while it runs.
func TestAOneShotIsCancelled(t *testing.T) {
	rig.EachPath(t, func(t *testing.T, p rig.Path) {
		site, ctx := rig.NewSite(t, p), rig.Context(t)
		site.Broker()
		d := waitingDiary()
		w := site.Worker(rig.Services{"waits": d.service()}, rig.Slots(1))
		c := site.Client()
		do := func(body string) (<-chan error, func()) {
			impatient, giveUp := context.WithCancel(ctx)
			ended := make(chan error, 1)
			go func() {
				_, err := c.Do(impatient, "waits", []byte(body))
				ended <- err
			}()
			return ended, giveUp
		}
		runs, giveUpRunning := do("runs")
		thread := d.expect(t, "open")
		d.expect(t, "call runs")
		waits, giveUpWaiting := do("waits")
		rig.Until(t, "it waits for a slot", func() bool { return waitingOpens(t, ctx, c, "waits") == 1 })
		giveUpWaiting()
		require.ErrorIs(t, rig.Receive(t, waits, "the end of the waiting one"), assigner.ErrCancelled)
		rig.Until(t, "nobody waits", func() bool { return waitingOpens(t, ctx, c, "waits") == 0 })
		giveUpRunning()
		requireError(t, rig.Receive(t, runs, "the end of the running one"), assigner.ErrCancelled, assigner.Unknown)
		require.Equal(t, thread, d.expect(t, "close"))
		rig.Until(t, "the slot is free", func() bool { return w.Busy() == 0 })
		rig.Until(t, "the broker knows of no hit", func() bool { return status(t, ctx, c).Hits == 0 })
	})
}

func TestALateReplyDisturbsNobody(t *testing.T) {
	rig.EachPath(t, func(t *testing.T, p rig.Path) {
		site, ctx := rig.NewSite(t, p), rig.Context(t)
		b := site.Broker()
		held := newHold()
		site.Worker(rig.Services{"hold": held.service()})
		h := open(t, ctx, site.Client(), "hold")
		impatient, giveUp := context.WithCancel(ctx)
		abandoned := callLater(impatient, h, "deaf one")
		held.awaitInside(t, "deaf one")
		next := callLater(ctx, h, "deaf two")
		giveUp()
		requireError(t, rig.Receive(t, abandoned, "the abandoned call").err, assigner.ErrCancelled, assigner.Unknown)
		require.Empty(t, next)
		held.free("deaf one")
		held.awaitInside(t, "deaf two")
		held.free("deaf two")
		r := rig.Receive(t, next, "the next call")
		require.NoError(t, r.err)
		require.Equal(t, "freed deaf two", r.reply)
		require.Zero(t, b.Counters()["refused_bad-seq"])
	})
}

// TestAWaitingCallNeverStarts: a call behind another one is cancelled, or its deadline passes, before its turn comes: the service never sees it.
func TestAWaitingCallNeverStarts(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	site.Broker()
	held := newHold()
	site.Worker(rig.Services{"hold": held.service()})
	c := site.Client()
	h := open(t, ctx, c, "hold")
	first := callLater(ctx, h, "deaf")
	held.awaitInside(t, "deaf")
	impatient, giveUp := context.WithCancel(ctx)
	cancelled := callLater(impatient, h, "cancelled")
	rig.Until(t, "it is under way", func() bool { return callsUnderWay(t, ctx, c, h) == 2 })
	short, done := context.WithTimeout(ctx, soon)
	defer done()
	expired := callLater(short, h, "expired")
	rig.Until(t, "it is under way", func() bool { return callsUnderWay(t, ctx, c, h) == 3 })
	giveUp()
	require.Error(t, rig.Receive(t, cancelled, "the cancelled call").err)
	require.Error(t, rig.Receive(t, expired, "the expired call").err)
	last := callLater(ctx, h, "last")
	rig.Until(t, "it is under way", func() bool { return callsUnderWay(t, ctx, c, h) == 4 })
	held.free("last")
	held.free("deaf")
	require.NoError(t, rig.Receive(t, first, "the first call").err)
	require.NoError(t, rig.Receive(t, last, "the last call").err)
	require.Equal(t, "last", rig.Receive(t, held.inside, "what ran next"), "neither the cancelled nor the expired one")
}

// TestTheHandlersOwnDeadline: the context in the handler has the caller's deadline, and a handler that returns its error says so.
func TestTheHandlersOwnDeadline(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	site.Broker()
	left := make(chan time.Duration, 1)
	site.Worker(rig.Services{"deadline": {Handler: func(ctx context.Context, _ *assigner.Call) ([]byte, error) {
		at, ok := ctx.Deadline()
		if !ok {
			return nil, errors.New("no deadline")
		}
		left <- time.Until(at)
		return nil, nil
	}}})
	c := site.Client()
	hour, done := context.WithTimeout(t.Context(), time.Hour)
	defer done()
	h := open(t, ctx, c, "deadline")
	_, err := h.Call(hour, nil)
	require.NoError(t, err)
	require.Less(t, 59*time.Minute, rig.Receive(t, left, "the time that is left"))
	_, err = h.Call(context.WithoutCancel(ctx), nil)
	require.ErrorContains(t, err, "no deadline")
}
