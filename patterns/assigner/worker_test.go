package assigner_test

import (
	"context"
	"math"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

func echo(_ context.Context, c *assigner.Call) ([]byte, error) { return c.Body(), nil }

// about is the hit that the conductor's tests speak of.
func about(kind wire.Type, seq uint32) wire.Header {
	return wire.Header{Type: kind, Hit: 77, Epoch: 3, Seq: seq}
}

type session struct{ closed chan struct{} }

func (s *session) Call(ctx context.Context, c *assigner.Call) ([]byte, error) { return echo(ctx, c) }

func (s *session) Close() error { close(s.closed); return nil }

// END comes in one batch with BEGIN, before the slot's actor can be reached: the session is opened and closed, and only then is ENDED said.
func TestAnEndRightBehindBegin(t *testing.T) {
	b := conduct(t)
	begun, goOn, s := make(chan struct{}), make(chan struct{}), &session{make(chan struct{})}
	w, peer := b.worker(services{"slow": {Open: func(context.Context, *assigner.Opening) (assigner.Session, error) {
		close(begun)
		<-goOn
		return s, nil
	}}})
	b.say(peer, say(about(wire.Begin, 0), "slow", ""), say(about(wire.Cancel, 0)), say(about(wire.End, 0)))
	receive(t, begun, "the open to begin")
	require.Empty(t, b.settle(peer, 1), "said of a session that is still being opened")
	close(goOn)
	b.hear(wire.Opened)
	require.Equal(t, about(wire.Ended, 0), b.hear(wire.Ended).Header)
	receive(t, s.closed, "the session to be closed")
	require.Zero(t, w.Busy())
}

// hit.md, section 8: "END of an unknown hit by ENDED with status unknown-hit".
func TestTheEndOfAnUnknownHit(t *testing.T) {
	b := conduct(t)
	_, peer := b.worker(services{"echo": {Handler: echo}})
	b.say(peer, say(about(wire.End, 0)), say(about(wire.Call, 4), "x"))
	want := about(wire.Ended, 0)
	want.Status = wire.UnknownHit
	require.Equal(t, want, b.hear(wire.Ended).Header)
	want = about(wire.Error, 4)
	want.Status, want.Arg = wire.UnknownHit, uint32(wire.NeverStarted)
	require.Equal(t, want, b.hear(wire.Error).Header)
}

// A session that is being opened hears that nobody wants it any more: when it is cancelled, and when its worker stops.
func TestAnOpeningCanBeStopped(t *testing.T) {
	begun := make(chan struct{}, 1)
	waits := services{"waits": {Open: func(ctx context.Context, _ *assigner.Opening) (assigner.Session, error) {
		begun <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}}}
	t.Run("cancelled", func(t *testing.T) {
		b := startBroker(t)
		w := startWorker(t, b.WorkerEndpoints()[0], waits)
		c := dial(t, b.ClientEndpoints()[0])
		for range 2 {
			ctx, giveUp := context.WithCancel(limited(t))
			ended := make(chan error, 1)
			go func() {
				_, err := c.Open(ctx, "waits")
				ended <- err
			}()
			receive(t, begun, "the open to begin")
			giveUp()
			require.ErrorIs(t, receive(t, ended, "the open to end"), assigner.ErrCancelled)
			until(t, "the slot is free", func() bool { return w.Busy() == 0 })
		}
	})
	t.Run("stopped", func(t *testing.T) {
		b := conduct(t)
		w, peer := b.worker(waits, func(c *assigner.WorkerConfig) { c.Stop = time.Hour })
		b.say(peer, say(about(wire.Begin, 0), "waits", ""))
		receive(t, begun, "the open to begin")
		require.NoError(t, w.Close(limited(t)))
	})
}

// A session's context is good for as long as the hit, whatever was cancelled before.
func TestASessionsContextLivesAsLongAsTheHit(t *testing.T) {
	var life context.Context
	b := startBroker(t)
	startWorker(t, b.WorkerEndpoints()[0], services{"keeps": {Open: func(ctx context.Context, _ *assigner.Opening) (assigner.Session, error) {
		life = ctx
		return &session{make(chan struct{})}, nil
	}}})
	c, ctx := dial(t, b.ClientEndpoints()[0]), limited(t)
	h, err := c.Open(ctx, "keeps")
	require.NoError(t, err)
	_, err = h.Call(ctx, []byte("x"))
	require.NoError(t, err)
	require.NoError(t, life.Err())
	require.NoError(t, h.Close(ctx))
	receive(t, life.Done(), "the session's context to end")
}

func TestAnOpenThatReturnsNothing(t *testing.T) {
	b := startBroker(t)
	startWorker(t, b.WorkerEndpoints()[0], services{"nothing": {Open: func(context.Context, *assigner.Opening) (assigner.Session, error) { return nil, nil }}})
	_, err := dial(t, b.ClientEndpoints()[0]).Open(limited(t), "nothing")
	require.ErrorIs(t, err, assigner.ErrService)
	require.ErrorContains(t, err, "neither a session nor an error")
}

// A kept thread whose code has left by runtime.Goexit is gone; one whose code has crashed may hold anything. The next hit gets a fresh one.
func TestAKeptThreadIsSound(t *testing.T) {
	ways := map[string]func(){"goexit": runtime.Goexit, "panic": func() { panic("as asked") }}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			b := startBroker(t)
			w := startWorker(t, b.WorkerEndpoints()[0], services{"fails": {KeepThread: true, Handler: func(_ context.Context, c *assigner.Call) ([]byte, error) {
				if string(c.Body()) == "fail" {
					way()
				}
				return os.ReadFile("/proc/thread-self/comm")
			}}}, func(c *assigner.WorkerConfig) { c.Slots = 1 })
			c, ctx := dial(t, b.ClientEndpoints()[0]), limited(t)
			first, err := c.Open(ctx, "fails")
			require.NoError(t, err)
			_, err = first.Call(ctx, []byte("fail"))
			require.ErrorIs(t, err, assigner.ErrPanicked)
			until(t, "the slot is free", func() bool { return w.Busy() == 0 })
			second, err := c.Open(ctx, "fails")
			require.NoError(t, err)
			comm, err := second.Call(ctx, nil)
			require.NoError(t, err)
			require.Equal(t, ("hit " + strconv.FormatUint(second.Handle(), 16))[:15]+"\n", string(comm), "a thread of its own")
		})
	}
}

// A worker that drains has nothing to say to a broker that has forgotten it: it would be given hits.
func TestADrainedWorkerDoesNotComeBack(t *testing.T) {
	b := conduct(t)
	w, peer := b.worker(services{"echo": {Handler: echo}})
	drained := make(chan error, 1)
	go func() { drained <- w.Drain(limited(t)) }()
	b.hear(wire.Bye)
	require.NoError(t, receive(t, drained, "the worker to be drained"))
	b.say(peer, say(wire.Header{Type: wire.Error, Status: wire.NotRegistered}, "who are you?"))
	require.Empty(t, b.settle(peer, 1))
	require.NoError(t, w.Drain(limited(t)), "draining again finds nothing to wait for")
}

// hit.md, section 8: "A call whose deadline is past when its turn comes is answered `expired`, not run", though the loop has slept meanwhile.
func TestADeadlineThatPassesWhileTheLoopSleeps(t *testing.T) {
	b := conduct(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	ran := make(chan uint32, 2)
	_, peer := b.worker(services{"slow": {Handler: func(_ context.Context, c *assigner.Call) ([]byte, error) {
		ran <- c.Seq
		close(begun)
		<-goOn
		return nil, nil
	}}})
	b.say(peer, say(about(wire.Begin, 0), "slow", ""))
	b.hear(wire.Opened)
	second := about(wire.Call, 2)
	second.Arg = 50
	b.say(peer, say(about(wire.Call, 1), "x"), say(second, "x"))
	receive(t, begun, "the first call")
	require.Empty(t, b.settle(peer, 1))
	past, cancel := context.WithTimeout(context.Background(), 60*time.Millisecond)
	defer cancel()
	receive(t, past.Done(), "the deadline to pass")
	close(goOn)
	b.hear(wire.Reply)
	m := b.hear(wire.Error)
	require.Equal(t, wire.Expired, m.Header.Status)
	require.EqualValues(t, wire.NeverStarted, m.Header.Arg)
	require.EqualValues(t, 1, <-ran)
	require.Empty(t, ran)
}

// A limit below the broker's would leave calls without an answer: it is told at once.
func TestALimitBelowTheBrokers(t *testing.T) {
	b := conduct(t)
	w := startWorker(t, b.endpoint, services{"echo": {Handler: echo}}, func(c *assigner.WorkerConfig) { c.MaxBody = 1000 })
	b.say(b.hear(wire.Ready).From, welcome("one"))
	err := w.Wait(limited(t))
	require.ErrorIs(t, err, assigner.ErrTooLarge)
	require.ErrorContains(t, err, "up to 1048576 bytes, here 1000 are taken: raise MaxBody")
	c, err := assigner.Dial(limited(t), assigner.ClientConfig{Broker: b.endpoint, MaxBody: 1000, Logger: quiet()})
	require.NoError(t, err)
	defer c.Close(limited(t))
	b.say(b.hear(wire.Hello).From, welcome("one"))
	require.ErrorIs(t, c.Ready(limited(t)), assigner.ErrTooLarge)
}

func TestProgressIsAlwaysAFraction(t *testing.T) {
	b := conduct(t)
	_, peer := b.worker(services{"strange": {Handler: func(_ context.Context, c *assigner.Call) ([]byte, error) {
		for _, done := range []float64{math.NaN(), math.Inf(-1), -1, 0.25, 2, math.Inf(1)} {
			c.Progress(done, "")
		}
		return nil, nil
	}}})
	b.say(peer, say(about(wire.Begin, 0), "strange", ""))
	b.hear(wire.Opened)
	b.say(peer, say(about(wire.Call, 1), "x"))
	for _, want := range []uint32{0, 0, 0, 2500, 10000, 10000} {
		require.Equal(t, want, b.hear(wire.Working).Header.Arg)
	}
	b.hear(wire.Reply)
}
