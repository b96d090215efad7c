package bridge

import (
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// A connection's end is told by event where there is one, by a refused probe on inproc.
func TestLossIsNoticed(t *testing.T) {
	for name, at := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			perPath(t, func(t *testing.T, cfg Config) {
				detector := "disconnected"
				if cfg.Probe = time.Hour; name == "inproc" {
					detector, cfg.Probe = "unreachable", time.Millisecond
				}
				w := newWorld(t, cfg, at, true)
				leaves, stays := w.join(0), w.join(0)
				leaves.close()
				w.gone(leaves.ref, detector)
				require.EqualValues(t, 1, w.loop.Stats().Peers.Load())
				require.EqualValues(t, 1, w.loop.Stats().Lost.Load())
				for {
					stays.say(wire.Header{Type: wire.Credit})
					if stays.fetchAny(wire.Ping) {
						break // probed as well, and alive
					}
					if name != "inproc" {
						stays.alive()
						break
					}
				}
			})
		})
	}
}

// fetchAny looks, without waiting, for a message of a type.
func (p *party) fetchAny(t wire.Type) bool {
	p.fetch()
	for _, m := range p.left {
		var h wire.Header
		require.NoError(p.w, h.Parse(m[0]))
		if h.Type == t {
			p.left = nil
			return true
		}
	}
	return false
}

// A peer that does not read any more is probed past its full window and queue: its end is noticed all the same.
func TestLossBehindAFullWindow(t *testing.T) {
	at := inproc()
	w := newWorld(t, Config{Probe: time.Millisecond}, at, false)
	p := w.join(small)
	w.fill(p, 1000, 1)
	p.close()
	w.gone(p.ref, "unreachable")
	require.Zero(t, w.loop.Stats().Waiting.Load())
}

// What a peer said before it left is delivered before its loss is told, however much it is. (On ipc libzmq loses what the kernel holds when the
// peer hangs up while the receive limit has stopped it from reading, so there it is fewer than that.)
func TestLastWordsComeBeforeTheLoss(t *testing.T) {
	for name, n := range map[string]int{"tcp": 3000, "ipc": 900} {
		perPath(t, func(t *testing.T, cfg Config) {
			at := addresses(t)[name]
			cfg.Batch = 16
			w := newWorld(t, cfg, at, true)
			p := w.join(0)
			for i := range n {
				p.say(wire.Header{Type: wire.Call, Seq: uint32(i)}, filled(i%300, 'c'))
			}
			p.close()
			for i := range n {
				require.EqualValues(t, i, w.message(wire.Call).Header.Seq)
			}
			g, ok := receive(w, w.heard, "the loss").(*wire.PeerGone)
			require.True(t, ok)
			require.Equal(t, p.ref, g.Peer)
			require.Contains(t, g.Detail, "was closed")
		})
	}
}

// While others come and go, nobody's messages overtake each other, and nobody who is there is given up.
func TestOthersComeAndGo(t *testing.T) {
	perPath(t, func(t *testing.T, cfg Config) {
		cfg.Batch = 8
		w := newWorld(t, cfg, "tcp://127.0.0.1:0", true)
		p := w.join(0)
		n, visits := 20_000, 150
		if testing.Short() {
			n, visits = 5000, 40
		}
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for range visits {
					if visit(t, w); t.Failed() {
						return
					}
				}
			})
		}
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		hellos, losses, next := 0, 0, uint32(0)
		sent := 0
		for next < uint32(n) || losses < 2*visits {
			for range 50 {
				if sent < n {
					p.say(wire.Header{Type: wire.Call, Seq: uint32(sent)}, nil)
					sent++
				}
			}
			switch m := receive(w, w.heard, "the next one").(type) {
			case *wire.PeerGone:
				require.NotEqual(t, p.ref, m.Peer, m.Detail)
				require.Contains(t, []string{"disconnected", "unreachable"}, m.Detector)
				losses++
			case *wire.Message:
				if m.Header.Type == wire.Hello {
					hellos++
					break
				}
				require.Equal(t, next, m.Header.Seq)
				next++
			}
		}
		receive(w, done, "the end of all visits")
		require.Equal(t, []int{2 * visits, 2 * visits}, []int{hellos, losses})
		p.alive()
		require.EqualValues(t, 1, w.loop.Stats().Peers.Load())
		w.onLoop(func() {
			require.Len(t, w.ep.byID, 1)
			require.Len(t, w.ep.byFD, 1)
			require.Len(t, w.ep.open, 1)
			require.Empty(t, w.ep.leavers)
		})
	})
}

// visit says HELLO and leaves at once.
func visit(t *testing.T, w *world) {
	s, err := w.ctx.Open(zmqsock.Config{Kind: zmqsock.Dealer, Linger: patience, PerFrame: w.loop.cfg.PerFrame})
	if err != nil {
		t.Error(err)
		return
	}
	out := zmqsock.NewOut()
	defer out.Free()
	if err := s.Connect(w.ep.Addrs()[0]); err != nil {
		t.Error(err)
	}
	out.Add(s, nil, false)
	out.Append((&wire.Header{Type: wire.Hello}).Bytes())
	out.Append([]byte("{}"))
	if out.Send() > 0 {
		t.Error(out.Err(0))
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Two peers cannot be told apart by a descriptor that one has left to the other: both are probed. A descriptor that means another connection by
// now ends the older claim.
func TestClaimsOfADescriptor(t *testing.T) {
	w := newWorld(t, Config{Probe: time.Hour}, inproc(), true)
	pair := func() [2]int {
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		return p
	}
	drop := func(p [2]int) {
		require.NoError(t, unix.Close(p[0]))
		require.NoError(t, unix.Close(p[1]))
	}
	first := pair()
	fd := first[0]
	w.onLoop(func() {
		ep := w.ep
		late := ep.admit([]byte{0, 0, 0, 0, 9}, fd)
		require.False(t, late.conn.Known(), "its end may have been heard before its first message was read")
		ep.open[fd] = true
		a, b := ep.admit([]byte{0, 0, 0, 0, 1}, fd), ep.admit([]byte{0, 0, 0, 0, 2}, fd)
		require.False(t, a.conn.Known())
		require.False(t, b.conn.Known())
		require.Empty(t, ep.byFD)
		c := ep.admit([]byte{0, 0, 0, 0, 3}, fd)
		require.True(t, c.conn.Known())
		drop(first)
		second := pair()
		require.Contains(t, second, fd, "the kernel gives the lowest descriptors")
		d := ep.admit([]byte{0, 0, 0, 0, 4}, fd)
		require.Same(t, d, ep.byFD[fd])
		require.NotNil(t, c.end)
		drop(second)
		e := ep.admit([]byte{0, 0, 0, 0, 5}, fd)
		require.False(t, e.conn.Known(), "the descriptor is closed")
		ep.forget(d)
		require.Empty(t, ep.byFD)
		delete(ep.open, fd)
	})
}

func TestHangUp(t *testing.T) {
	perPath(t, func(t *testing.T, cfg Config) {
		w := newWorld(t, cfg, "tcp://127.0.0.1:0", true)
		p, other := w.join(0), w.join(0)
		w.onLoop(func() {
			w.loop.HangUp(p.ref, "replaced", "by a younger one")
			w.loop.HangUp(p.ref, "replaced", "gone already")
		})
		require.Equal(t, "by a younger one", w.gone(p.ref, "replaced").Detail)
		p.hungUp()
		other.alive()
		require.Empty(t, w.heard)
	})
}

func TestAttach(t *testing.T) {
	w := newWorld(t, Config{}, "tcp://127.0.0.1:0", true)
	p := w.join(0)
	types, losses := make(chan wire.Type, 10), make(chan *wire.PeerGone, 10)
	own := w.spawn(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *wire.Message:
			types <- m.Header.Type
		case *wire.PeerGone:
			losses <- m
		}
	})
	w.onLoop(func() { w.loop.Attach(p.ref, own) })
	p.say(wire.Header{Type: wire.Open}, []byte("s"), nil)
	require.Equal(t, wire.Open, receive(w, types, "OPEN"))
	p.close()
	require.Equal(t, "disconnected", receive(w, losses, "the loss").Detector)
	w.onLoop(func() { w.loop.Attach(p.ref, own) })
	g := receive(w, losses, "the loss, again")
	require.Equal(t, []any{p.ref, "closed"}, []any{g.Peer, g.Detector})
	require.Empty(t, w.heard, "the keeper hears nothing more")
}

// A hit's messages go to the PID of its handle; what names no living hit goes to the keeper.
func TestHandlesRoute(t *testing.T) {
	w := newWorld(t, Config{}, "tcp://127.0.0.1:0", true)
	p := w.join(0)
	seqs := make(chan uint32, 10)
	hit := w.spawn(func(c actor.Context) {
		if m, ok := c.Message().(*wire.Message); ok {
			seqs <- m.Header.Seq
		}
	})
	var handle uint64
	w.onLoop(func() {
		handle = w.loop.Directory().Reserve()
		w.loop.Directory().Bind(handle, hit, nil)
	})
	p.say(wire.Header{Type: wire.Call, Hit: handle, Seq: 1}, nil)
	require.EqualValues(t, 1, receive(w, seqs, "the call"))
	p.say(wire.Header{Type: wire.Cancel, Hit: handle, Flags: wire.Ref, Seq: 2})
	require.EqualValues(t, 2, w.message(wire.Cancel).Header.Seq, "a reference is no handle")
	w.onLoop(func() { w.loop.Directory().Free(handle) })
	p.say(wire.Header{Type: wire.Call, Hit: handle, Seq: 3}, nil)
	require.EqualValues(t, 3, w.message(wire.Call).Header.Seq)
}
