package bridge_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// TestPlainThousandRequests: each of 1,000 futures at once gets its own answer, whatever the order of the answers.
func TestPlainThousandRequests(t *testing.T) {
	const callers, rounds = 1000, 3
	w := newPlainWorld(t, bridge.Config{}, bridge.PlainConfig{Bind: []string{"tcp://127.0.0.1:0"}})
	anna := w.join("anna")
	pid := w.b.PID("anna")
	var served sync.WaitGroup
	served.Go(func() {
		for range rounds {
			questions := make([][]string, callers)
			for i := range questions {
				questions[i] = anna.recv()
			}
			rand.Shuffle(callers, func(i, j int) { questions[i], questions[j] = questions[j], questions[i] })
			for _, q := range questions {
				anna.send(q[0], "re: "+q[1])
			}
		}
	})
	for round := range rounds {
		var wrong atomic.Int64
		var asked sync.WaitGroup
		for i := range callers {
			asked.Go(func() {
				question := fmt.Sprint(round, "/", i)
				answer, err := w.system.Root.RequestFuture(pid, question, plainPatience).Result()
				if m, ok := answer.(*bridge.Message); err != nil || !ok || string(m.Frame(0)) != "re: "+question {
					wrong.Add(1)
				}
			})
		}
		asked.Wait()
		require.Zero(t, wrong.Load())
	}
	served.Wait()
	require.Zero(t, w.b.Stats().Late.Load())
}

// TestPlainRequestFailsWithItsPeer: nobody waits for the answer of a peer that is lost.
func TestPlainRequestFailsWithItsPeer(t *testing.T) {
	for transport, addr := range plainEndpoints(t) {
		t.Run(transport, func(t *testing.T) {
			w := newPlainWorld(t, bridge.Config{}, bridge.PlainConfig{Bind: []string{addr}})
			self, heard := w.inbox() // without a name, so it gets a short-lived address, too
			anna := w.join("anna")
			pid := w.b.PID("anna")
			answered := w.system.Root.RequestFuture(pid, "1", 2*plainPatience)
			open := w.system.Root.RequestFuture(pid, "2", 2*plainPatience)
			w.in(self, func(ctx actor.Context) { ctx.Request(pid, "3") })
			for range 3 {
				if q := anna.recv(); q[1] == "1" {
					anna.send(q[0], "the answer")
				}
			}
			anna.close()
			answer, err := answered.Result()
			require.NoError(t, err)
			require.Equal(t, "the answer", string(plainAs[*bridge.Message](t, answer).Frame(0)))
			_, err = open.Result()
			require.ErrorIs(t, err, actor.ErrDeadLetter)
			gone, ok := plainReceive(t, heard, "the dead letter").message.(*actor.DeadLetterResponse)
			require.True(t, ok)
			require.True(t, gone.Target.Equal(pid))
		})
	}
}

// TestPlainLateAnswerReachesNobody, nor does an answer to what another peer was asked.
func TestPlainLateAnswerReachesNobody(t *testing.T) {
	w := newPlainWorld(t, bridge.Config{}, bridge.PlainConfig{})
	_, heard := w.register("x")
	anna, ben := w.join("anna"), w.join("ben")
	expired := w.system.Root.RequestFuture(w.b.PID("anna"), "quick!", time.Millisecond)
	_, err := expired.Result()
	require.ErrorIs(t, err, actor.ErrTimeout)
	late := anna.recv()[0]
	open := w.system.Root.RequestFuture(w.b.PID("anna"), "slow", plainPatience)
	next := anna.recv()[0]
	require.NotEqual(t, late, next)

	anna.send(late, "too late")
	ben.send(next, "I answer for anna")
	ben.send("x", "done")
	w.message(heard, "ben's last message")
	anna.send(next, "in time")
	anna.send(next, "a second answer")
	answer, err := open.Result()
	require.NoError(t, err)
	require.Equal(t, "in time", string(plainAs[*bridge.Message](t, answer).Frame(0)))
	anna.send("x", "done")
	w.message(heard, "anna's last message")
	require.EqualValues(t, 3, w.b.Stats().Late.Load())
	require.Nil(t, anna.next(), "a late answer is not answered")
}

func TestPlainUnsendable(t *testing.T) {
	log := &plainLog{}
	w := newPlainWorld(t, bridge.Config{Logger: slog.New(log)}, bridge.PlainConfig{})
	anna := w.join("anna")
	pid := w.b.PID("anna")
	type order struct{ number int }
	w.mustFail(pid, &order{1})
	d := plainReceive(t, w.dead, "the dead letter")
	require.Equal(t, &order{1}, d.Message)
	w.system.Root.Send(pid, 2)
	require.Equal(t, 2, plainReceive(t, w.dead, "the dead letter").Message)
	w.system.Root.Send(pid, 3)
	w.system.Root.Send(pid, "fine")
	require.Equal(t, []string{"", "fine"}, anna.recv())
	require.EqualValues(t, 3, w.b.Stats().Unsendable.Load())
	require.EqualValues(t, 2, log.warnings.Load(), "the 1st and the 2nd; then seldom")
	require.Contains(t, log.last.Load(), "a int cannot be sent to a ZeroMQ peer: send bridge.Frames")

	// An actor that dies while a peer asks it: the engine answers the peer with a DeadLetterResponse.
	w.system.Root.Send(pid, &actor.DeadLetterResponse{})
	require.EqualValues(t, 1, w.b.Stats().Unknown.Load())
}

// TestPlainFull: whoever does not read is neither waited for nor fed without end, and hurts nobody else.
func TestPlainFull(t *testing.T) {
	const queue = 5
	w := newPlainWorld(t, bridge.Config{Probe: time.Hour}, bridge.PlainConfig{Queue: queue})
	lazy := w.dialWith(w.b.Addrs()[0], zmqsock.Config{Kind: zmqsock.Dealer, Identity: "lazy", RecvHWM: 3})
	lazy.send("")
	other := w.join("other")
	pid := w.b.PID("lazy")
	w.until("the lazy one", func() bool { return w.b.Stats().Peers.Load() == 2 })

	// While the loop is busy, what waits here is bounded.
	held, release := make(chan struct{}), make(chan struct{})
	require.True(t, w.b.Loop().Do(func() { close(held); <-release }))
	plainReceive(t, held, "the loop")
	for i := range queue + 2 {
		w.system.Root.Send(pid, fmt.Sprint(i))
	}
	for i := range 2 {
		require.Equal(t, fmt.Sprint(queue+i), plainReceive(t, w.dead, "a dead letter").Message)
	}
	close(release)
	w.settle()

	// Then libzmq's own queue fills; each refusal is a dead letter.
	sent := queue
	w.until("libzmq to refuse", func() bool {
		w.system.Root.Send(pid, fmt.Sprint(sent))
		sent++
		w.settle()
		return len(w.dead) > 0
	})
	require.Equal(t, fmt.Sprint(sent-1), plainReceive(t, w.dead, "a dead letter").Message)
	w.mustFail(pid, "a request fails as well")
	require.EqualValues(t, 4, w.b.Stats().Full.Load())
	w.system.Root.Send(w.b.PID("other"), "you read")
	require.Equal(t, []string{"", "you read"}, other.recv())
	for i := range sent - 1 {
		require.Equal(t, []string{"", fmt.Sprint(i)}, lazy.recv())
	}
	require.Nil(t, lazy.next())
	require.EqualValues(t, 2, w.b.Stats().Peers.Load(), "a peer that does not read is not lost")
}

// TestPlainStorm: senders, watchers, peers that come and go, names that change, and a bridge that closes under them.
func TestPlainStorm(t *testing.T) {
	for transport, addr := range plainEndpoints(t) {
		t.Run(transport, func(t *testing.T) {
			w := newPlainWorld(t, bridge.Config{}, bridge.PlainConfig{Bind: []string{addr}})
			var all sync.WaitGroup
			var told, watches atomic.Int64
			echo := w.spawn(func(ctx actor.Context) {
				if m, ok := ctx.Message().(*bridge.Message); ok {
					ctx.Respond(m)
				}
			})
			require.NoError(t, w.b.Register("echo", echo))
			for g := range 3 {
				watcher := w.spawn(func(ctx actor.Context) {
					switch m := ctx.Message().(type) {
					case func(actor.Context):
						m(ctx)
					case *actor.Terminated:
						told.Add(1)
					}
				})
				all.Go(func() {
					for i := range 300 {
						pid := w.b.PID(fmt.Sprint("p", i%3))
						watches.Add(1)
						w.in(watcher, func(ctx actor.Context) { ctx.Watch(pid) })
						w.system.Root.Send(pid, "x")
						_ = w.b.Register(fmt.Sprint("name", g), watcher)
						w.b.Unregister(fmt.Sprint("name", g))
						if i%10 == 0 {
							w.system.Root.Stop(pid)
						}
					}
				})
				all.Go(func() {
					for i := range 30 {
						w.visit(fmt.Sprint("p", g), i)
					}
				})
			}
			all.Wait()
			w.close()
			require.Zero(t, w.b.Stats().Peers.Load())
			require.LessOrEqual(t, told.Load(), watches.Load(), "never told more often than asked")
			require.Positive(t, told.Load())
		})
	}
}

// visit connects a peer and leaves it again, every other time only after it has had an answer. What was under way when a watcher stopped the PID is
// lost; and of two connections of one identity within a millisecond, libzmq may take the older one for the newer. So it does as a
// patient client does: it asks again, and after a while over a new connection.
func (w *plainWorld) visit(identity string, i int) {
	// Without linger: a closed socket that still had to send would connect again and take the identity from its successor.
	cfg := zmqsock.Config{Kind: zmqsock.Dealer, Identity: identity, Linger: time.Nanosecond, Heartbeat: -1}
	w.until("an answer", func() bool {
		peer := w.dialWith(w.b.Addrs()[0], cfg)
		defer peer.close()
		for range i {
			peer.send("echo", "hello")
		}
		for range 300 {
			if i%2 == 1 || peer.next() != nil {
				return true
			}
			peer.send("echo", "hello?")
			w.onLoop(func() {})
		}
		return false
	})
}
