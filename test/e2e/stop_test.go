package e2e_test

import (
	"context"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
	"github.com/troupe-mq/troupe/test/e2e/internal/tls"
)

// How everybody stops, whatever is under way.

// TestWorkerStopsWhileNativeCodeBlocks: the worker's Close comes back though two of its threads cannot, and names them.
func TestWorkerStopsWhileNativeCodeBlocks(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	site.Broker()
	var pipe [2]int
	require.NoError(t, syscall.Pipe(pipe[:]))
	begun, ended := make(chan struct{}, 2), make(chan struct{}, 2)
	d := newDiary()
	d.on = func(_ context.Context, c *assigner.Call) ([]byte, error) {
		if string(c.Body()) == "block" {
			begun <- struct{}{}
			tls.Block(pipe[0])
			ended <- struct{}{}
		}
		return nil, nil
	}
	w := site.LooseWorker(rig.Services{"diary": d.service()}, rig.Slots(3), func(c *assigner.WorkerConfig) { c.Stop = 4 * soon })
	c := site.Client()
	stuck := []*assigner.Hit{open(t, ctx, c, "diary"), open(t, ctx, c, "diary")}
	idle := open(t, ctx, c, "diary")
	var calls []<-chan result
	for _, h := range stuck {
		calls = append(calls, callLater(ctx, h, "block"))
		rig.Receive(t, begun, "the call to block")
	}
	err := w.Close(ctx)
	require.Error(t, err)
	require.NoError(t, ctx.Err(), "Close has not waited for its context")
	for _, h := range stuck {
		require.ErrorContains(t, err, strconv.FormatUint(h.Handle(), 16), "who stays is named")
	}
	require.NotContains(t, err.Error(), strconv.FormatUint(idle.Handle(), 16))
	require.ErrorContains(t, err, "2 threads are left behind")
	for _, r := range calls {
		requireError(t, rig.Receive(t, r, "the end of a call").err, assigner.ErrWorkerGone, assigner.Unknown)
	}
	require.Equal(t, err, w.Close(ctx), "closing again says the same")

	require.NoError(t, syscall.Close(pipe[1])) // the threads come back at last
	for range stuck {
		rig.Receive(t, ended, "a thread to come back")
	}
	require.NoError(t, syscall.Close(pipe[0]))
}

// TestBrokerClosesWithOpenHits: all that is under way gets its error, and nobody waits.
func TestBrokerClosesWithOpenHits(t *testing.T) {
	rig.EachPath(t, func(t *testing.T, p rig.Path) {
		site, ctx := rig.NewSite(t, p), rig.Context(t)
		b := site.Broker()
		const hits = 20
		d := waitingDiary()
		w := site.Worker(rig.Services{"diary": d.service()}, rig.Slots(hits))
		c := site.Client()
		var calls []<-chan result
		for i := range hits {
			h := open(t, ctx, c, "diary")
			d.expect(t, "open")
			if i%2 == 0 {
				calls = append(calls, callLater(ctx, h, "x"))
				d.expect(t, "call x")
			}
		}
		waits := openLater(ctx, c, "diary")
		rig.Until(t, "the open waits", func() bool { return waitingOpens(t, ctx, c, "diary") == 1 })
		require.NoError(t, b.Close(ctx))
		for _, r := range calls {
			requireError(t, rig.Receive(t, r, "the end of a call").err, assigner.ErrBrokerGone, assigner.Unknown)
		}
		requireError(t, rig.Receive(t, waits, "the end of the open").err, assigner.ErrBrokerGone, assigner.NeverStarted)
		for range hits {
			d.expect(t, "close")
		}
		rig.Until(t, "the slots are free", func() bool { return w.Busy() == 0 })
	})
}

func TestBrokerDrains(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	b := site.Broker()
	site.Worker(rig.Services{"echo": echo}, rig.Slots(1))
	c := site.Client()
	h := open(t, ctx, c, "echo")
	waits := openLater(ctx, c, "echo")
	rig.Until(t, "the open waits", func() bool { return waitingOpens(t, ctx, c, "echo") == 1 })
	short, done := contextWith(t, soon)
	defer done()
	require.ErrorIs(t, b.Drain(short), context.DeadlineExceeded, "a hit is open")
	requireError(t, rig.Receive(t, waits, "the end of the open").err, assigner.ErrDraining, assigner.NeverStarted)
	_, err := c.Open(ctx, "echo")
	requireError(t, err, assigner.ErrDraining, assigner.NeverStarted)
	requireReply(t, ctx, h, "the open one goes on", "the open one goes on")
	drained := make(chan error, 1)
	go func() { drained <- b.Drain(ctx) }()
	require.NoError(t, h.Close(ctx))
	require.NoError(t, rig.Receive(t, drained, "the broker to be drained"))
	require.NoError(t, b.Close(ctx))
}

func TestWorkerDrains(t *testing.T) {
	rig.EachPath(t, func(t *testing.T, p rig.Path) {
		site, ctx := rig.NewSite(t, p), rig.Context(t)
		site.Broker()
		one := site.Worker(rig.Services{"echo": echo}, rig.Slots(4), rig.Named("one"))
		c := site.Client()
		h := open(t, ctx, c, "echo")
		site.Worker(rig.Services{"echo": echo}, rig.Slots(4), rig.Named("two"))
		drained := make(chan error, 1)
		go func() { drained <- one.Drain(ctx) }()
		rig.Until(t, "new hits go to the other worker", func() bool {
			other := open(t, ctx, c, "echo")
			defer func() { require.NoError(t, other.Close(ctx)) }()
			return other.Worker() == "two" && workerState(t, ctx, c, "one") == "leaving"
		})
		for range 8 {
			other := open(t, ctx, c, "echo")
			require.Equal(t, "two", other.Worker())
			require.NoError(t, other.Close(ctx))
		}
		requireReply(t, ctx, h, "the open one goes on", "the open one goes on")
		require.Empty(t, drained)
		require.NoError(t, h.Close(ctx))
		require.NoError(t, rig.Receive(t, drained, "the worker to be drained"))
		require.NoError(t, one.Close(ctx))
	})
}

// TestServeEndsWithItsContext: the blocking forms, as commands use them.
func TestServeEndsWithItsContext(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	b, err := assigner.NewBroker(site.BrokerConfig())
	require.NoError(t, err)
	w, err := assigner.NewWorker(assigner.WorkerConfig{Broker: site.Workers, Services: rig.Services{"echo": echo}, Logger: rig.Logger(t)})
	require.NoError(t, err)
	serving, stop := context.WithCancel(ctx)
	ended := make(chan error, 2)
	go func() { ended <- b.Serve(serving) }()
	go func() { ended <- w.Serve(serving) }()
	c := site.Client()
	requireReply(t, ctx, open(t, ctx, c, "echo"), "x", "x")
	stop()
	for range 2 {
		require.NoError(t, rig.Receive(t, ended, "the end of Serve"))
	}
}
