package bridge_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge"
)

// join connects a peer and waits until it is known.
func (w *plainWorld) join(identity string) *plainDealer {
	w.Helper()
	peer := w.dial(w.b.Addrs()[0], identity)
	peer.send("")
	pid := w.b.PID(identity)
	w.until(identity+" to be known", func() bool {
		_, ok := w.system.ProcessRegistry.Get(pid)
		return ok
	})
	return peer
}

func (w *plainWorld) terminated(c <-chan plainNote, pid *actor.PID, why actor.TerminatedReason) {
	w.Helper()
	end, ok := plainReceive(w, c, "the end of "+pid.Id).message.(*actor.Terminated)
	require.True(w, ok)
	require.True(w, end.Who.Equal(pid), "%v", end)
	require.Equal(w, why, end.Why)
}

func TestPlainWatchBeforeItConnects(t *testing.T) {
	w := newPlainWorld(t, bridge.Config{}, bridge.PlainConfig{})
	self, heard := w.inbox()
	pid := w.b.PID("anna")
	w.in(self, func(ctx actor.Context) { ctx.Watch(pid) })
	w.terminated(heard, pid, actor.TerminatedReason_NotFound)
	w.join("anna").close()
	w.until("her loss", func() bool { return w.b.Stats().Peers.Load() == 0 })
	require.Empty(t, heard, "who was told once is told no more")
}

func TestPlainWatchTwiceIsToldOnce(t *testing.T) {
	for transport, addr := range plainEndpoints(t) {
		t.Run(transport, func(t *testing.T) {
			w := newPlainWorld(t, bridge.Config{}, bridge.PlainConfig{Bind: []string{addr}})
			self, heard := w.inbox()
			other, otherHeard := w.inbox()
			third, thirdHeard := w.inbox()
			anna := w.join("anna")
			pid := w.b.PID("anna")
			w.in(self, func(ctx actor.Context) { ctx.Watch(pid); ctx.Watch(w.b.PID("anna")) })
			w.in(other, func(ctx actor.Context) { ctx.Watch(pid) })
			w.in(third, func(ctx actor.Context) { ctx.Watch(pid); ctx.Unwatch(w.b.PID("anna")) })
			anna.close()
			w.terminated(heard, pid, actor.TerminatedReason_AddressTerminated)
			w.terminated(otherHeard, pid, actor.TerminatedReason_AddressTerminated)
			for _, inbox := range []*actor.PID{self, other, third} {
				w.in(inbox, func(actor.Context) {})
			}
			require.Empty(t, heard)
			require.Empty(t, otherHeard)
			require.Empty(t, thirdHeard)
		})
	}
}

// TestPlainWatchIsForOneIncarnation: who wants to hear of the next loss watches again.
func TestPlainWatchIsForOneIncarnation(t *testing.T) {
	w := newPlainWorld(t, bridge.Config{}, bridge.PlainConfig{Bind: []string{"tcp://127.0.0.1:0"}})
	self, heard := w.inbox()
	pid := w.b.PID("anna")
	for range 20 {
		anna := w.join("anna")
		w.in(self, func(ctx actor.Context) { ctx.Watch(pid) })
		anna.close()
		w.terminated(heard, pid, actor.TerminatedReason_AddressTerminated)
	}
	w.join("anna").close()
	w.until("her loss", func() bool { return w.b.Stats().Peers.Load() == 0 })
	w.in(self, func(actor.Context) {})
	require.Empty(t, heard)
}

// TestPlainSharedIdentity: the newest connection has an identity. The one it took it from is hung up on, so that it notices; when it takes
// the identity back there is peace, for two peers of one name must not do so for ever.
func TestPlainSharedIdentity(t *testing.T) {
	log := &plainLog{}
	notes := make(chan string, 100)
	system := newPlainSystem()
	keeper := system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *bridge.PeerJoined:
			notes <- m.PID.Id + " joined " + m.Identity
		case *bridge.PeerLeft:
			notes <- m.PID.Id + " left " + m.Identity + ": " + m.Detector
		}
	}))
	w := newPlainWorldOn(t, system, bridge.Config{Logger: slog.New(log)}, bridge.PlainConfig{Bind: []string{"tcp://127.0.0.1:0"}, Keeper: keeper})
	self, heard := w.register("x")
	pid := w.b.PID("anna")
	joined, replaced := pid.Id+" joined anna", pid.Id+" left anna: replaced"
	older := w.join("anna")
	require.Equal(t, joined, plainReceive(t, notes, "the older one"))
	newer := dialPlainMute(t, w.b.Addrs()[0], "anna")
	takes := func(say func()) {
		w.in(self, func(ctx actor.Context) { ctx.Watch(pid) })
		say()
		require.Equal(t, replaced, plainReceive(t, notes, "the loss"))
		require.Equal(t, joined, plainReceive(t, notes, "the successor"))
		first, second := plainReceive(t, heard, "the end or the message").message, plainReceive(t, heard, "the other").message
		if _, ok := first.(*bridge.Message); ok {
			first, second = second, first
		}
		require.IsType(t, &actor.Terminated{}, first)
		require.Equal(t, "it is me", string(plainAs[*bridge.Message](t, second).Frame(0)))
		w.system.Root.Send(pid, "hello")
	}
	takes(func() { newer.say(t, "x", "it is me") })
	require.Equal(t, []string{"", "hello"}, []string{newer.hear(t), newer.hear(t)})
	w.notices(older)
	takes(func() { older.send("x", "it is me") })
	require.Equal(t, []string{"", "hello"}, older.recv())

	newer.ping(t, 0)
	require.Contains(t, newer.hear(t), "PONG", "its connection is left alone now")
	newer.say(t, "x", "no, me")
	witness := w.dial(w.b.Addrs()[0], "ben")
	witness.send("x", "hello")
	m, _ := w.message(heard, "the witness")
	require.Equal(t, "ben", m.Identity)
	newer.reset(t)
	older.send("x", "still me")
	m, _ = w.message(heard, "the older one")
	require.Equal(t, "still me", string(m.Frame(0)))
	require.EqualValues(t, 2, log.warnings.Load())
	require.NoError(t, system.Root.StopFuture(keeper).Wait())
}

// TestPlainStopHangsUp: a stopped PID is a lost peer; what comes back is a new one.
func TestPlainStopHangsUp(t *testing.T) {
	for how, stop := range map[string]func(*actor.RootContext, *actor.PID) *actor.Future{
		"stop":   (*actor.RootContext).StopFuture,
		"poison": (*actor.RootContext).PoisonFuture,
	} {
		for transport, addr := range plainEndpoints(t) {
			t.Run(how+"/"+transport, func(t *testing.T) {
				w := newPlainWorld(t, bridge.Config{}, bridge.PlainConfig{Bind: []string{addr}})
				self, heard := w.register("x")
				anna := w.join("anna")
				pid := w.b.PID("anna")
				w.in(self, func(ctx actor.Context) { ctx.Watch(pid) })
				end, err := stop(w.system.Root, pid).Result()
				require.NoError(t, err)
				require.Equal(t, actor.TerminatedReason_Stopped, plainAs[*actor.Terminated](t, end).Why)
				w.terminated(heard, pid, actor.TerminatedReason_Stopped)
				w.mustFail(pid, "gone?")
				_, err = stop(w.system.Root, pid).Result()
				require.NoError(t, err, "stopping twice is no error")

				// A DEALER connects again by itself. What it said to the old connection is lost, so it has to repeat itself.
				w.until("her return", func() bool {
					anna.send("x", "again")
					return len(heard) > 0
				})
				m, _ := w.message(heard, "her return")
				require.Equal(t, "again", string(m.Frame(0)))
				w.system.Root.Send(pid, "welcome back")
				require.Equal(t, []string{"", "welcome back"}, anna.recv())
			})
		}
	}
}

// TestPlainCloseTellsAll: watchers and those who wait for an answer, at once.
func TestPlainCloseTellsAll(t *testing.T) {
	w := newPlainWorld(t, bridge.Config{}, bridge.PlainConfig{Bind: []string{"tcp://127.0.0.1:0"}})
	self, heard := w.register("x")
	anna := w.join("anna")
	pid := w.b.PID("anna")
	w.in(self, func(ctx actor.Context) { ctx.Watch(pid) })
	future := w.system.Root.RequestFuture(pid, "?", 2*plainPatience)
	require.Equal(t, "?", anna.recv()[1])
	w.system.Root.Send(pid, "last words")
	w.close()
	require.Equal(t, []string{"", "last words"}, anna.recv(), "what was written before Close still leaves")
	w.terminated(heard, pid, actor.TerminatedReason_Stopped)
	_, err := future.Result()
	require.ErrorIs(t, err, actor.ErrDeadLetter)
	w.mustFail(pid, "and now?")
	w.in(self, func(ctx actor.Context) { ctx.Watch(pid) })
	w.terminated(heard, pid, actor.TerminatedReason_NotFound)
	require.ErrorContains(t, w.b.Register("y", self), "closed")
	w.b.Unregister("x")
	w.close() // twice is no error
}

// TestPlainHeartbeatsOfPeers: a peer that promises heartbeats (ZMQ_HEARTBEAT_TTL) and falls silent is lost; this end sends none.
func TestPlainHeartbeatsOfPeers(t *testing.T) {
	w := newPlainWorld(t, bridge.Config{}, bridge.PlainConfig{Bind: []string{"tcp://127.0.0.1:0"}})
	self, heard := w.register("x")
	silent := dialPlainMute(t, w.b.Addrs()[0], "silent")
	silent.say(t, "x", "hello")
	_, pid := w.message(heard, "its hello")
	w.in(self, func(ctx actor.Context) { ctx.Watch(pid) })
	silent.ping(t, 1) // a tenth of a second
	w.terminated(heard, pid, actor.TerminatedReason_AddressTerminated)
}

// TestPlainFloodAndCrash: libzmq 4.3.4 aborts the process when a heartbeat falls due on a connection that broke while its input was stopped. This
// brings about everything but the heartbeat: a loop that is busy, a flood, a reset.
func TestPlainFloodAndCrash(t *testing.T) {
	w := newPlainWorld(t, bridge.Config{Heartbeat: 10 * time.Millisecond, Silence: 10 * time.Millisecond},
		bridge.PlainConfig{Bind: []string{"tcp://127.0.0.1:0"}})
	self, heard := w.register("x")
	flood := dialPlainMute(t, w.b.Addrs()[0], "flood")
	flood.say(t, "x", "hello")
	_, pid := w.message(heard, "its hello")
	w.in(self, func(ctx actor.Context) { ctx.Watch(pid) })
	w.onLoop(func() {
		for range 5000 {
			flood.say(t, "x", "flood")
		}
		flood.reset(t)
		witness := dialPlainMute(t, w.b.Addrs()[0], "witness")
		witness.ping(t, 1) // ended after a tenth of a second, ten times the interval that heartbeats would have
		witness.ended(t)
	})
	w.until("the end", func() bool {
		for len(heard) > 0 {
			if _, over := (<-heard).message.(*actor.Terminated); over {
				return true
			}
		}
		return false
	})
}
