package keepalive_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// heartbeats are the broker's, short.
func heartbeats(c *assigner.BrokerConfig) { c.Heartbeat, c.Silence = beat, limit }

// requireBusy asks for a hit's worker until it has not got on for several times the limit: it is alive all the time.
func requireBusy(t *testing.T, h *assigner.Hit) {
	t.Helper()
	rig.Until(t, "the worker has not got on for long", func() bool {
		v, err := h.IsAlive(rig.Context(t))
		require.NoError(t, err)
		require.True(t, v.Alive, "%+v", v)
		require.Equal(t, limit, v.Within)
		require.EqualValues(t, 1, v.Running)
		require.Equal(t, "worker", v.Peer)
		return v.Progress > 4*v.Within && v.For > 4*v.Within
	})
}

// TestAWorkerThatIsBusyIsAlive: its application thread computes without a pause, and no thread of Go's is needed for the answer. A report of progress shows.
func TestAWorkerThatIsBusyIsAlive(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	site.Broker(heartbeats)
	report, reported := make(chan struct{}), make(chan struct{})
	site.Worker(rig.Services{"spin": {Handler: func(ctx context.Context, c *assigner.Call) ([]byte, error) {
		for ctx.Err() == nil {
			select {
			case <-report:
				c.Progress(0.5, "half")
				close(reported)
			default:
			}
		}
		return nil, ctx.Err()
	}}})
	c := site.Client()
	h, err := c.Open(ctx, "spin")
	require.NoError(t, err)
	go func() { _, _ = h.Call(ctx, nil) }()
	rig.Until(t, "the call runs", func() bool {
		v, err := h.IsAlive(ctx)
		require.NoError(t, err)
		return v.Running == 1
	})
	requireBusy(t, h)
	report <- struct{}{}
	<-reported
	rig.Until(t, "the progress is told of", func() bool {
		v, err := h.IsAlive(ctx)
		require.NoError(t, err)
		require.True(t, v.Alive)
		return v.Progress < v.For
	})
}

// TestAWorkerThatHoldsItsInterpretersLockIsAlive: a call into C keeps Python's lock, so that no Python code runs in the whole process. A process that stands
// still is not alive, though the difference cannot be seen from its code.
func TestAWorkerThatHoldsItsInterpretersLockIsAlive(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	site.Broker(heartbeats)
	p := rig.Python(t, "testdata/holds_lock.py", "worker", site.Workers)
	p.Await("registered")
	c := site.Client()
	h, ended := begin(t, c, "lock")
	rig.Until(t, "the call runs", func() bool {
		v, err := h.IsAlive(ctx)
		require.NoError(t, err)
		return v.Running == 1
	})
	requireBusy(t, h)
	requireNone(t, ended, "it runs still")
	p.Freeze()
	require.ErrorIs(t, rig.Receive(t, ended, "the end of the call"), assigner.ErrWorkerGone)
	v, err := h.IsAlive(ctx)
	require.NoError(t, err)
	require.False(t, v.Alive)
}

// TestAClientThatHoldsItsInterpretersLockIsAlive: the worker asks about it. When its process stands still, the hit is adrift.
func TestAClientThatHoldsItsInterpretersLockIsAlive(t *testing.T) {
	long(t)
	t.Parallel()
	site := rig.NewSite(t, rig.TCP)
	site.Broker(heartbeats)
	ask, told := make(chan struct{}), make(chan assigner.Vitals)
	site.Worker(rig.Services{"ask": {Handler: func(_ context.Context, c *assigner.Call) ([]byte, error) {
		for range ask {
			v, err := c.IsAlive(rig.Context(t))
			if err != nil {
				return nil, err
			}
			told <- v
		}
		return nil, nil
	}}})
	p := rig.Python(t, "testdata/holds_lock.py", "client", site.Clients)
	p.Await("called")
	vitals := func() assigner.Vitals {
		ask <- struct{}{}
		return rig.Receive(t, told, "the client's vitals")
	}
	const ttl = 3 * time.Second // as the Python library promises
	rig.Until(t, "the client was silent for longer than it could be if it stood still", func() bool {
		v := vitals()
		require.True(t, v.Alive, "%+v", v)
		require.Equal(t, "client", v.Peer)
		return v.For > ttl+ttl/2
	})
	p.Freeze()
	rig.Until(t, "the client is not alive", func() bool { return !vitals().Alive })
	require.Equal(t, "adrift", vitals().State)
	close(ask)
}

// TestPythonAsksWhoIsAlive: a client in Python asks about its worker, which is busy, and about its broker, while its own main thread is in a call.
func TestPythonAsksWhoIsAlive(t *testing.T) {
	long(t)
	t.Parallel()
	site, g := rig.NewSite(t, rig.TCP), newGuard()
	broker := site.BrokerAlone(heartbeats)
	site.Worker(rig.Services{"hold": g.service()})
	p := rig.Python(t, "testdata/asks.py", site.Clients, "4")
	require.Equal(t, "busy", p.Await("worker: "))
	require.Equal(t, "alive", p.Await("broker: "))
	broker.Freeze()
	p.Say("again")
	require.Equal(t, "silent", p.Await("broker: "))
	broker.Kill()
	p.Say("again")
	require.Equal(t, "lost", p.Await("broker: "))
}
