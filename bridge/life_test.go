package bridge

import (
	"context"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(all)
}

func TestCloseWithoutServing(t *testing.T) {
	before := descriptors(t)
	w := emptyWorld(t, Config{})
	_, err := w.loop.Open(EndpointConfig{Bind: []string{"tcp://127.0.0.1:0"}, Keeper: w.keeper, Accept: toBroker})
	require.NoError(t, err)
	_, err = w.loop.Open(EndpointConfig{Connect: "tcp://127.0.0.1:1", Keeper: w.keeper, Accept: toBroker})
	require.NoError(t, err)
	ran := false
	require.True(t, w.loop.Do(func() { ran = true }))
	w.stop()
	require.True(t, ran, "what Do accepts runs")
	<-w.loop.Done()
	require.ErrorContains(t, w.loop.Serve(t.Context()), "make a new one")
	_, err = w.loop.Open(EndpointConfig{Bind: []string{inproc()}, Keeper: w.keeper, Accept: toBroker})
	require.ErrorContains(t, err, "the loop has ended")
	w.end()
	w.eventually("all descriptors are given back", func() bool { return descriptors(t) <= before })
}

// A start that fails in the middle leaves nothing open.
func TestFailedStartLeavesNothingOpen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	system := emptyWorld(t, Config{}).system
	before := descriptors(t)
	l, err := New(Config{System: system, Logger: slog.New(slog.DiscardHandler)}) // the process's shared context
	require.NoError(t, err)
	keeper := system.NewLocalPID("nobody")
	free, err := l.Open(EndpointConfig{Bind: []string{"tcp://127.0.0.1:0"}, Keeper: keeper, Accept: toBroker})
	require.NoError(t, err)
	_, err = l.Open(EndpointConfig{Bind: []string{"tcp://127.0.0.1:0", "tcp://" + taken.Addr().String()}, Keeper: keeper, Accept: toBroker})
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	require.ErrorContains(t, err, taken.Addr().String())
	require.NoError(t, l.Close(t.Context()))
	again, err := net.Listen("tcp", free.Addrs()[0][len("tcp://"):])
	require.NoError(t, err, "the other endpoint is free again")
	require.NoError(t, again.Close())
	require.Nil(t, shared.ctx, "the last user has ended the context")
	require.Eventually(t, func() bool { return descriptors(t) <= before }, patience, time.Millisecond)
}

// Stop while a peer does not read, another has vanished and a broker is away: all is given back.
func TestStopWithBlockedPeers(t *testing.T) {
	perPath(t, func(t *testing.T, cfg Config) {
		before := descriptors(t)
		w := emptyWorld(t, cfg)
		var err error
		w.ep, err = w.loop.Open(EndpointConfig{Bind: []string{"tcp://127.0.0.1:0", addresses(t)["ipc"], inproc()}, Keeper: w.keeper, Accept: toBroker})
		require.NoError(t, err)
		away, err := w.loop.Open(EndpointConfig{Connect: "tcp://127.0.0.1:1", Keeper: w.keeper, Accept: allTypes})
		require.NoError(t, err)
		w.serve()
		blocked := w.join(0)
		w.fill(blocked, 100_000, 2)
		for range 100 {
			require.NoError(t, away.Sender().Send(&wire.Header{Type: wire.Hello}, filled(10_000, 'x')))
		}
		w.stop()
		require.ErrorIs(t, away.Sender().Send(&wire.Header{Type: wire.Ping}), wire.ErrNoPeer)
		blocked.close()
		w.end()
		w.eventually("all descriptors are given back", func() bool { return descriptors(t) <= before })
	})
}

// What was written before Stop is sent.
func TestLastWordsOfALoop(t *testing.T) {
	perPath(t, func(t *testing.T, cfg Config) {
		w := newWorld(t, cfg, "tcp://127.0.0.1:0", true)
		p := w.join(0)
		w.onLoop(func() {
			for range 100 {
				require.NoError(t, w.loop.Outbox().Send(p.ref, wire.Header{Type: wire.Reply}, filled(1000, 'r')))
			}
			require.NoError(t, w.loop.Outbox().Send(p.ref, wire.Header{Type: wire.Bye}))
			w.loop.Stop()
		})
		w.stop()
		for range 100 {
			p.hear(wire.Reply)
		}
		p.hear(wire.Bye)
	})
}

func TestServeEndsWithItsContext(t *testing.T) {
	w := emptyWorld(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { w.served <- w.loop.Serve(ctx) }()
	w.onLoop(func() {})
	cancel()
	require.NoError(t, receive(t, w.served, "the end"))
	<-w.loop.Done()
}

// A loop whose ZeroMQ context ends under it ends with an error, and still gives everything back.
func TestServeEndsWithTheZeroMQContext(t *testing.T) {
	w := emptyWorld(t, Config{})
	own, err := zmqsock.NewContext()
	require.NoError(t, err)
	l, err := New(Config{System: w.system, Context: own, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	_, err = l.Open(EndpointConfig{Bind: []string{"tcp://127.0.0.1:0"}, Keeper: w.keeper, Accept: toBroker})
	require.NoError(t, err)
	served, ended := make(chan error, 1), make(chan error, 1)
	go func() { served <- l.Serve(t.Context()) }()
	go func() { ended <- own.Term() }()
	require.Error(t, receive(t, served, "the end of Serve"))
	require.NoError(t, receive(t, ended, "the end of the context"))
}

// Close gives up waiting with its context; the loop ends all the same.
func TestCloseGivesUpWaiting(t *testing.T) {
	w := emptyWorld(t, Config{})
	w.serve()
	begun, done := make(chan struct{}), make(chan struct{})
	require.True(t, w.loop.Do(func() { close(begun); <-done }))
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, w.loop.Close(ctx), context.Canceled)
	close(done)
}

// Each Do that reports true has run when the loop has ended; each other one never runs.
func TestDoAgainstTheEnd(t *testing.T) {
	for range 50 {
		w := emptyWorld(t, Config{})
		w.serve()
		var wg sync.WaitGroup
		var accepted, ran atomic.Int64
		for range 4 {
			wg.Go(func() {
				for w.loop.Do(func() { ran.Add(1) }) {
					accepted.Add(1)
				}
			})
		}
		w.eventually("some are accepted", func() bool { return accepted.Load() > 20 })
		w.stop()
		wg.Wait()
		require.Equal(t, accepted.Load(), ran.Load())
		require.False(t, w.loop.Do(func() { ran.Add(1) }))
	}
}

// However often the loop falls asleep between them, no turn that other goroutines schedule is lost.
func TestScheduleWakesTheLoop(t *testing.T) {
	w := emptyWorld(t, Config{Probe: time.Hour})
	w.serve()
	const goroutines, each = 8, 2000
	d := w.loop.Dispatcher()
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			done := make(chan struct{})
			for range each {
				d.Schedule(func() { done <- struct{}{} }) // one at a time: each finds the loop idle, or about to be
				<-done
			}
		})
	}
	all := make(chan struct{})
	go func() { wg.Wait(); close(all) }()
	receive(t, all, "all turns")
	require.Positive(t, w.loop.Stats().Sleeps.Load(), "it did sleep")
}

// A mailbox that has used up its throughput schedules itself again, behind all that were ready before.
func TestMailboxesTakeTurns(t *testing.T) {
	w := emptyWorld(t, Config{Throughput: 4})
	d := w.loop.Dispatcher()
	require.Equal(t, 4, d.Throughput())
	var order []byte
	var busy func()
	busy = func() {
		if order = append(order, 'b'); len(order) < 20 {
			d.Schedule(busy)
		}
	}
	done := make(chan struct{})
	d.Schedule(busy)
	for range 3 {
		d.Schedule(func() { order = append(order, 's') })
	}
	d.Schedule(func() { d.Schedule(func() { close(done) }) })
	w.serve()
	receive(t, done, "the last one's turn")
	w.onLoop(func() { require.Equal(t, "bsssbb", string(order[:6])) })
}

// Mailboxes that always find something to do do not keep the loop from ending. Turns after the end run, one at a time.
func TestTurnsAfterTheEnd(t *testing.T) {
	w := emptyWorld(t, Config{})
	d := w.loop.Dispatcher()
	var running, most, turns atomic.Int32
	var stop atomic.Bool
	for range 2 {
		var self func()
		self = func() {
			most.Store(max(most.Load(), running.Add(1)))
			turns.Add(1)
			if !stop.Load() {
				d.Schedule(self)
			}
			running.Add(-1)
		}
		d.Schedule(self)
	}
	dying := w.spawn(func(actor.Context) {})
	w.serve()
	w.eventually("they run", func() bool { return turns.Load() > 1000 })
	w.stop()
	before := turns.Load()
	w.eventually("they go on", func() bool { return turns.Load() > before+1000 })
	stop.Store(true)
	require.EqualValues(t, 1, most.Load())
	ended := make(chan struct{})
	w.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch c.Message().(type) {
		case *actor.Started:
			c.Watch(dying)
			c.Stop(dying)
		case *actor.Terminated:
			close(ended)
		}
	}))
	receive(t, ended, "the end of an actor whose loop has ended")
}

func TestTimersFire(t *testing.T) {
	w := emptyWorld(t, Config{Probe: time.Hour})
	fired := make(chan any, 100)
	pid := w.spawn(func(c actor.Context) {
		if _, system := c.Message().(actor.SystemMessage); !system {
			fired <- c.Message()
		}
	})
	w.serve()
	w.onLoop(func() {
		now := w.loop.Now()
		a, b, c, never := w.loop.NewTimer(pid, "a"), w.loop.NewTimer(pid, "b"), w.loop.NewTimer(pid, "c"), w.loop.NewTimer(pid, "never")
		a.Set(now + time.Hour)
		b.Set(now + 20*time.Millisecond)
		never.Set(now + 10*time.Millisecond)
		c.Set(now + 5*time.Millisecond)
		a.Set(now + 30*time.Millisecond)
		never.Stop()
		never.Stop()
	})
	for _, want := range []string{"c", "b", "a"} {
		for {
			got := receive(t, fired, want)
			if text, ok := got.(string); ok {
				require.Equal(t, want, text)
				break
			}
		}
	}
	require.GreaterOrEqual(t, w.loop.Now(), 30*time.Millisecond)
	w.onLoop(func() { require.Empty(t, w.loop.timers) })
}
