package lease_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/actors/host"
	"github.com/troupe-mq/troupe/bridge"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is the safety net of every wait: no test passes because of it.
const patience = 30 * time.Second

// stage is a loop with one ROUTER, and a peer at the other end.
type stage struct {
	*testing.T
	system *actor.ActorSystem
	loop   *bridge.Loop
	peer   *zmqsock.Socket
	in     *zmqsock.In
	out    *zmqsock.Out
	poll   *zmqsock.Poller
}

var stages atomic.Int64

// newStage serves a loop whose keeper gets all messages, in a mailbox of package host.
func newStage(t *testing.T, perFrame bool, keep func(s *stage, c actor.Context)) *stage {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	ctx, err := zmqsock.NewContext()
	require.NoError(t, err)
	s := &stage{T: t, out: zmqsock.NewOut(), system: actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }), actor.WithDeadLetterThrottleInterval(time.Microsecond))}
	s.loop, err = bridge.New(bridge.Config{System: s.system, Logger: quiet, Context: ctx, PerFrame: perFrame, Poison: true, Throughput: 2, Batch: 8})
	require.NoError(t, err)
	keeper := s.spawn(s.loop.Dispatcher(), host.MailboxConfig{Capacity: host.Unbounded}, func(c actor.Context) { keep(s, c) })
	at := fmt.Sprintf("inproc://lease-%d", stages.Add(1))
	_, err = s.loop.Open(bridge.EndpointConfig{Bind: []string{at}, Keeper: keeper, Accept: []wire.Type{wire.Hello, wire.Call}})
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- s.loop.Serve(t.Context()) }()
	s.peer, err = ctx.Open(zmqsock.Config{Kind: zmqsock.Dealer, PerFrame: perFrame})
	require.NoError(t, err)
	require.NoError(t, s.peer.Connect(at))
	s.in, err = zmqsock.NewIn(64)
	require.NoError(t, err)
	wake, err := zmqsock.NewWake()
	require.NoError(t, err)
	s.poll = zmqsock.NewPoller(wake)
	require.NoError(t, s.poll.Set([]*zmqsock.Socket{s.peer}))
	t.Cleanup(func() {
		require.NoError(t, s.peer.Close())
		s.loop.Stop()
		require.NoError(t, <-served)
		s.in.Free()
		s.out.Free()
		require.NoError(t, wake.Close())
		s.system.Shutdown()
		require.NoError(t, ctx.Term())
	})
	s.say(wire.Header{Type: wire.Hello}, []byte("{}"))
	return s
}

func (s *stage) spawn(d actor.Dispatcher, box host.MailboxConfig, f actor.ReceiveFunc) *actor.PID {
	return s.system.Root.Spawn(actor.PropsFromFunc(f, actor.WithDispatcher(d), actor.WithMailbox(host.Mailbox(box))))
}

func (s *stage) say(h wire.Header, body ...[]byte) {
	s.Helper()
	i := s.out.Add(s.peer, nil, true)
	h.Put(s.out.Header(i))
	for _, b := range body {
		s.out.Append(b)
	}
	require.Zero(s, s.out.Send())
	s.out.Reset()
}

// hear waits for n messages and shows header and body of each.
func (s *stage) hear(n int, look func(h wire.Header, body [][]byte)) {
	s.Helper()
	for until := time.Now().Add(patience); n > 0; {
		require.True(s, time.Now().Before(until), "%d messages did not arrive", n)
		got, err := s.in.Recv(s.peer, n, 0)
		require.NoError(s, err)
		for i := range got {
			frames := s.in.Frames(i, nil)
			var h wire.Header
			require.NoError(s, h.Parse(frames[0]))
			look(h, frames[1:])
		}
		s.in.Clear(true)
		if n -= got; got == 0 && n > 0 {
			require.NoError(s, s.poll.Wait(time.Until(until)))
		}
	}
}

// body is what call i carries: short frames that lie in the batch, an empty one, and every now and then one that libzmq keeps.
func body(i int) [][]byte {
	return [][]byte{
		bytes.Repeat([]byte{byte(i)}, i%40), {}, bytes.Repeat([]byte{byte(i + 1)}, 1+i%7), bytes.Repeat([]byte{byte(i + 2)}, i%11*50),
	}
}

// reply sends a message back to where it came from.
func (s *stage) reply(m *wire.Message) {
	h := wire.Header{Type: wire.Reply, Seq: m.Header.Seq}
	if err := s.loop.Outbox().Forward(m.From, h, m); err != nil {
		s.Error(err)
	}
}

func (s *stage) exchange(n int) {
	s.Helper()
	for i := range n {
		s.say(wire.Header{Type: wire.Call, Seq: uint32(i)}, body(i)...)
	}
	next := 0
	s.hear(n, func(h wire.Header, got [][]byte) {
		require.EqualValues(s, next, h.Seq)
		for i, want := range body(next) {
			require.True(s, bytes.Equal(want, got[i]), "frame %d of call %d is %q, not %q", i, next, got[i], want)
		}
		next++
	})
}

func each(t *testing.T, test func(t *testing.T, perFrame bool)) {
	t.Run("batch", func(t *testing.T) { test(t, false) })
	t.Run("per-frame", func(t *testing.T) { test(t, true) })
}

// A message goes from the keeper through two more actors of the loop and back, while later batches come in; each mailbox holds it for a while.
func TestThroughActorsOfTheLoop(t *testing.T) {
	each(t, func(t *testing.T, perFrame bool) {
		var first *actor.PID
		s := newStage(t, perFrame, func(_ *stage, c actor.Context) {
			if m, ok := c.Message().(*wire.Message); ok && m.Header.Type == wire.Call {
				c.Send(first, m)
			}
		})
		done := make(chan struct{})
		require.True(t, s.loop.Do(func() {
			second := s.spawn(s.loop.Dispatcher(), host.MailboxConfig{}, func(c actor.Context) {
				if m, ok := c.Message().(*wire.Message); ok {
					s.reply(m)
				}
			})
			first = s.spawn(s.loop.Dispatcher(), host.MailboxConfig{}, func(c actor.Context) {
				if m, ok := c.Message().(*wire.Message); ok {
					c.Send(second, m)
				}
			})
			close(done)
		}))
		<-done
		s.exchange(900)
	})
}

// What goes to another goroutine goes as a copy, and comes back to the loop.
func TestThroughAnotherGoroutine(t *testing.T) {
	each(t, func(t *testing.T, perFrame bool) {
		d := host.Goroutine(4)
		defer func() {
			within, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			require.NoError(t, d.Wait(within))
		}()
		var away *actor.PID
		s := newStage(t, perFrame, func(_ *stage, c actor.Context) {
			if m, ok := c.Message().(*wire.Message); ok && m.Header.Type == wire.Call {
				c.Send(away, m.Copy())
			}
		})
		done := make(chan struct{})
		require.True(t, s.loop.Do(func() {
			away = s.spawn(d, host.MailboxConfig{}, func(c actor.Context) {
				if m, ok := c.Message().(*wire.Message); ok {
					s.loop.Do(func() { s.reply(m) })
				}
			})
			close(done)
		}))
		<-done
		s.exchange(900)
	})
}

// What a full mailbox refuses is the refuser's for as long as the hook runs, and spoils nothing for those that were taken.
func TestRefusedByAFullMailbox(t *testing.T) {
	each(t, func(t *testing.T, perFrame bool) {
		var narrow *actor.PID
		s := newStage(t, perFrame, func(_ *stage, c actor.Context) {
			if m, ok := c.Message().(*wire.Message); ok && m.Header.Type == wire.Call {
				c.Send(narrow, m)
			}
		})
		done := make(chan struct{})
		var refused atomic.Int64
		require.True(t, s.loop.Do(func() {
			box := host.MailboxConfig{Capacity: 1, OnReject: func(_ *actor.PID, message any, _ error) {
				refused.Add(1)
				if m, ok := message.(*wire.Message); ok {
					s.reply(m)
				}
			}}
			narrow = s.spawn(s.loop.Dispatcher(), box, func(c actor.Context) {
				if m, ok := c.Message().(*wire.Message); ok {
					s.reply(m)
				}
			})
			close(done)
		}))
		<-done
		const n = 900
		for i := range n {
			s.say(wire.Header{Type: wire.Call, Seq: uint32(i)}, body(i)...)
		}
		seen := map[uint32]bool{}
		s.hear(n, func(h wire.Header, got [][]byte) {
			require.False(t, seen[h.Seq], "call %d is answered twice", h.Seq)
			seen[h.Seq] = true
			for i, want := range body(int(h.Seq)) {
				require.True(t, bytes.Equal(want, got[i]), "frame %d of call %d", i, h.Seq)
			}
		})
		require.Len(t, seen, n)
		require.Positive(t, refused.Load(), "the mailbox was full at times")
	})
}
