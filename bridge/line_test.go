package bridge

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// When the broker goes, what it said last is heard, then its loss; what is sent for the old one fails, what is sent after that reaches the next one.
func TestBrokerComesBack(t *testing.T) {
	for name, at := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			perPath(t, func(t *testing.T, cfg Config) {
				if cfg.Probe = time.Hour; name == "inproc" {
					cfg.Probe = time.Millisecond
				}
				w, broker, id := newGuest(t, cfg, at)
				addr := w.ep.Addrs()[0]
				var old wire.Peer
				w.onLoop(func() { old = w.ep.Broker() })
				for round := range 3 {
					const n = 500
					for i := range n {
						broker.rawTo(id, (&wire.Header{Type: wire.Reply, Seq: uint32(i)}).Bytes(), filled(i, 'r'))
					}
					broker.close()
					for i := range n {
						require.EqualValues(t, i, w.message(wire.Reply).Header.Seq)
					}
					detector := "disconnected"
					if name == "inproc" {
						detector = "unreachable"
					}
					w.gone(old, detector)
					h := wire.Header{Type: wire.Call, Seq: 5}
					require.ErrorIs(t, w.ep.Sender().SendOn(old, &h), wire.ErrNoPeer)
					broker, _ = w.bind(addr)
					id = broker.greeted()
					var fresh wire.Peer
					w.onLoop(func() { fresh = w.ep.Broker() })
					require.NotEqual(t, old, fresh)
					require.NoError(t, w.ep.Sender().SendOn(fresh, &h, []byte("body")))
					require.Equal(t, "body", string(broker.call()[2]))
					require.EqualValues(t, round+1, w.loop.Stats().Reopened.Load())
					require.EqualValues(t, 1, w.loop.Stats().Peers.Load())
					require.Equal(t, addr, w.ep.Addrs()[0])
					old = fresh
				}
			})
		})
	}
}

// A listener that speaks no ZMTP is left to libzmq, which tries with pauses; nothing is made anew, and a broker in its place is found.
func TestListenerThatSlamsTheDoor(t *testing.T) {
	w := emptyWorld(t, Config{})
	slam, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := slam.Addr().String()
	w.ep, err = w.loop.Open(EndpointConfig{Connect: "tcp://" + addr, Keeper: w.keeper, Accept: allTypes})
	require.NoError(t, err)
	w.serve()
	require.NoError(t, w.ep.Sender().Send(&wire.Header{Type: wire.Hello}, []byte("{}")))
	for range 3 {
		c, err := slam.Accept()
		require.NoError(t, err)
		require.NoError(t, c.Close())
	}
	require.NoError(t, slam.Close())
	broker, _ := w.bind("tcp://" + addr)
	broker.greeted()
	require.Zero(t, w.loop.Stats().Reopened.Load())
	require.Empty(t, w.heard)
}

// Connections that end soon are made again after pauses that grow; one that has lived is replaced at once.
func TestBriefConnectionsPause(t *testing.T) {
	w, _, _ := newGuest(t, Config{}, "tcp://127.0.0.1:0")
	w.onLoop(func() {
		ep := w.ep
		var pauses []time.Duration
		for range 8 {
			ep.Reopen("said", "by the test")
			require.Equal(t, ep.line.pause > 0, ep.line.due > 0)
			pauses = append(pauses, ep.line.pause)
		}
		ms := time.Millisecond
		require.Equal(t, []time.Duration{20 * ms, 40 * ms, 80 * ms, 160 * ms, 320 * ms, 640 * ms, 1000 * ms, 1000 * ms}, pauses)
		require.NoError(t, ep.Sender().Send(&wire.Header{Type: wire.Call}), "it waits for the connection")
		require.True(t, ep.sender.pending())
		require.Zero(t, w.loop.flush())
		ep.line.since -= 2 * brief
		ep.Reopen("said", "by the test")
		require.Zero(t, ep.line.pause)
	})
}

// After a pause the connection is made, and what was written meanwhile is sent.
func TestPauseEnds(t *testing.T) {
	w, broker, _ := newGuest(t, Config{}, "tcp://127.0.0.1:0")
	w.onLoop(func() { w.ep.Reopen("said", "first") })
	broker.greeted()
	w.onLoop(func() { w.ep.Reopen("said", "second") })
	broker.greeted()
	require.EqualValues(t, 2, w.loop.Stats().Reopened.Load())
}

// Where no fresh socket can be had, it is tried again; the keeper hears of the loss when there is one.
func TestReopenThatFails(t *testing.T) {
	w, broker, _ := newGuest(t, Config{}, "tcp://127.0.0.1:0")
	addr := w.ep.cfg.Connect
	var old wire.Peer
	w.onLoop(func() {
		old = w.ep.Broker()
		w.ep.cfg.Connect = "tcp://nonsense"
		w.ep.line.since -= 2 * brief
		w.ep.Reopen("said", "by the test")
		require.Nil(t, w.ep.sock)
		require.ErrorIs(t, w.ep.Sender().Send(&wire.Header{Type: wire.Call}), wire.ErrNoPeer)
		w.ep.line.due = 1
	})
	w.onLoop(func() {
		require.Nil(t, w.ep.sock, "tried again, in vain")
		require.Greater(t, w.ep.line.due, w.loop.Now())
	})
	require.Empty(t, w.heard)
	w.onLoop(func() {
		w.ep.cfg.Connect = addr
		w.ep.line.due = 1
	})
	w.gone(old, "said")
	broker.greeted()
}

// Messages of many goroutines leave in batches; each one's stay in order.
func TestManySenders(t *testing.T) {
	perPath(t, func(t *testing.T, cfg Config) {
		w, broker, _ := newGuest(t, cfg, "tcp://127.0.0.1:0")
		const goroutines, each = 8, 2000
		var wg sync.WaitGroup
		var failed atomic.Int32
		for g := range goroutines {
			wg.Go(func() {
				body := filled(g, 'b')
				for i := range each {
					if w.ep.Sender().Send(&wire.Header{Type: wire.Call, Hit: uint64(g), Seq: uint32(i)}, body) != nil {
						failed.Add(1)
					}
				}
			})
		}
		next := [goroutines]uint32{}
		for range goroutines * each {
			m := broker.take()
			var h wire.Header
			require.NoError(t, h.Parse(m[1]))
			require.Equal(t, next[h.Hit], h.Seq)
			require.Len(t, m[2], int(h.Hit))
			next[h.Hit]++
		}
		wg.Wait()
		require.Zero(t, failed.Load())
	})
}

// A guest that has nothing to say says PING, so that a broker behind a connection that lives can say it does not know it any more.
func TestQuietGuestPings(t *testing.T) {
	w, broker, id := newGuest(t, Config{Probe: time.Millisecond}, "tcp://127.0.0.1:0")
	broker.rawTo(id, (&wire.Header{Type: wire.Welcome}).Bytes(), wire.JSON(wire.WelcomeInfo{Incarnation: "1", Window: 1 << 20}))
	w.message(wire.Welcome)
	for range 3 {
		var h wire.Header
		require.NoError(t, h.Parse(broker.take()[1]))
		require.Equal(t, wire.Ping, h.Type)
	}
}

// The hits that a guest serves get their calls as copies, wherever they live.
func TestGuestsHits(t *testing.T) {
	w, broker, id := newGuest(t, Config{}, "tcp://127.0.0.1:0")
	calls := make(chan *wire.Message, 10)
	slot := w.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if m, ok := c.Message().(*wire.Message); ok {
			calls <- m
		}
	}))
	w.onLoop(func() { w.ep.Sender().Bind(7, slot) })
	broker.rawTo(id, (&wire.Header{Type: wire.Call, Hit: 7}).Bytes(), []byte("body"))
	m := receive(w, calls, "the call")
	require.Nil(t, m.Lease)
	require.Equal(t, "body", string(m.Frame(0)))
	w.onLoop(func() { w.ep.Sender().Unbind(7) })
	broker.rawTo(id, (&wire.Header{Type: wire.Call, Hit: 7}).Bytes(), []byte("body"))
	w.message(wire.Call)
}
