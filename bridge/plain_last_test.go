package bridge_test

import (
	"fmt"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge"
)

// hold keeps the loop busy until the returned function is called.
func (w *plainWorld) hold() (release func()) {
	w.Helper()
	held, free := make(chan struct{}), make(chan struct{})
	w.b.Loop().Dispatcher().Schedule(func() { close(held); <-free }) // mailboxes run after messages are received, and before what Stop does
	plainReceive(w, held, "the loop")
	return func() { close(free) }
}

// reached waits until libzmq has read what was written to the endpoint before: its one I/O thread looks at all connections in turn.
func (m *plainMute) reached(t *testing.T) {
	t.Helper()
	for range 20 {
		m.ping(t, 0)
		require.Contains(t, m.hear(t), "PONG")
	}
}

// newPlainKept is a world whose inbox "x" is also the keeper, so that it sees in which order a peer's words and its end come.
func newPlainKept(t *testing.T) (*plainWorld, chan plainNote) {
	system := newPlainSystem()
	w := &plainWorld{TB: t, system: system}
	keeper, heard := w.inbox()
	w = newPlainWorldOn(t, system, bridge.Config{}, bridge.PlainConfig{Bind: []string{"tcp://127.0.0.1:0"}, Keeper: keeper})
	require.NoError(t, w.b.Register("x", keeper))
	return w, heard
}

// TestPlainLastWordsComeFirst: more than one batch of them, all before the end.
func TestPlainLastWordsComeFirst(t *testing.T) {
	w, heard := newPlainKept(t)
	witness := dialPlainMute(t, w.b.Addrs()[0], "witness")
	peer := dialPlainMute(t, w.b.Addrs()[0], "peer")
	peer.say(t, "x", "hello")
	require.IsType(t, &bridge.PeerJoined{}, plainReceive(t, heard, "the peer").message)
	w.message(heard, "its hello")
	release := w.hold()
	for i := range 900 {
		peer.say(t, "x", fmt.Sprint(i))
	}
	require.NoError(t, peer.conn.Close())
	witness.reached(t)
	release()
	for i := range 900 {
		m, _ := w.message(heard, "last words")
		require.Equal(t, fmt.Sprint(i), string(m.Frame(0)))
	}
	left, ok := plainReceive(t, heard, "the end").message.(*bridge.PeerLeft)
	require.True(t, ok)
	require.Equal(t, "disconnected", left.Detector)
}

// TestPlainBriefPeerIsLost, although it was gone before the bridge had read its first word.
func TestPlainBriefPeerIsLost(t *testing.T) {
	w, heard := newPlainKept(t)
	witness := dialPlainMute(t, w.b.Addrs()[0], "witness")
	release := w.hold()
	peer := dialPlainMute(t, w.b.Addrs()[0], "brief")
	peer.say(t, "x", "hello and good-bye")
	require.NoError(t, peer.conn.Close())
	witness.reached(t)
	release()
	require.IsType(t, &bridge.PeerJoined{}, plainReceive(t, heard, "the peer").message)
	m, _ := w.message(heard, "its words")
	require.Equal(t, "hello and good-bye", string(m.Frame(0)))
	require.IsType(t, &bridge.PeerLeft{}, plainReceive(t, heard, "its end").message)
	w.mustFail(w.b.PID("brief"), "?")
}

// TestPlainStoppedPeerIsNotHeard: what waits to be read when a PID is stopped does not bring the peer back.
func TestPlainStoppedPeerIsNotHeard(t *testing.T) {
	w, heard := newPlainKept(t)
	witness := dialPlainMute(t, w.b.Addrs()[0], "witness")
	peer := dialPlainMute(t, w.b.Addrs()[0], "peer")
	peer.say(t, "x", "hello")
	require.IsType(t, &bridge.PeerJoined{}, plainReceive(t, heard, "the peer").message)
	_, pid := w.message(heard, "its hello")
	release := w.hold()
	for range 10 {
		peer.say(t, "x", "more")
	}
	witness.reached(t)
	w.system.Root.Stop(pid)
	release()
	left, ok := plainReceive(t, heard, "the end").message.(*bridge.PeerLeft)
	require.True(t, ok)
	require.Equal(t, "stopped", left.Detector)
	peer.ended(t)
	w.settle()
	require.Empty(t, heard)
	require.EqualValues(t, 10, w.b.Stats().Ignored.Load())
	require.Zero(t, w.b.Stats().Peers.Load())
}

// TestPlainDescriptorChangesHands while nobody reads: the last words of one peer, and the first of the next, over the same descriptor.
func TestPlainDescriptorChangesHands(t *testing.T) {
	for _, next := range []string{"anna", "ben"} {
		t.Run("to "+next, func(t *testing.T) {
			w, heard := newPlainKept(t)
			addr := w.b.Addrs()[0]
			witness := dialPlainMute(t, addr, "witness")
			known := dialPlainMute(t, addr, "anna")
			known.say(t, "x", "hello")
			require.IsType(t, &bridge.PeerJoined{}, plainReceive(t, heard, "anna").message)
			w.message(heard, "her hello")
			future := w.system.Root.RequestFuture(w.b.PID("anna"), "?", plainPatience)
			answerTo := known.hear(t)
			require.Equal(t, "?", known.hear(t))

			release := w.hold()
			known.say(t, answerTo, "last words")
			require.NoError(t, known.conn.Close())
			witness.reached(t)
			successor := dialPlainMute(t, addr, next)
			successor.say(t, "")
			brief := dialPlainMute(t, addr, "brief")
			brief.say(t, "x", "hello and good-bye")
			require.NoError(t, brief.conn.Close())
			witness.reached(t)
			release()
			answer, err := future.Result()
			if next == "ben" {
				require.NoError(t, err, "last words are heard")
				require.Equal(t, "last words", string(plainAs[*bridge.Message](t, answer).Frame(0)))
			} else if err != nil { // libzmq may have given them another identity, since the new one has hers
				require.ErrorIs(t, err, actor.ErrDeadLetter)
			}
			w.settle() // all was there, so it has been read, and who is lost has been buried
			w.until("what is lost to be lost, and what lives to live", func() bool {
				return w.b.Stats().Peers.Load() == 1 && w.b.Stats().Unknown.Load() == 0
			})
			w.system.Root.Send(w.b.PID(next), "it is you")
			for frame := ""; frame != "it is you"; frame = successor.hear(t) {
				require.Empty(t, frame, "probes at most")
			}
			for range 5 {
				w.settle()
				require.EqualValues(t, 1, w.b.Stats().Peers.Load())
			}
		})
	}
}
