package bridge

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

const small = minWindow // the smallest window there is

// fill sends replies of a size to a peer, one per hit in turn, until one is refused. It returns how many were taken, and their bytes.
func (w *world) fill(p *party, size int, hits uint64) (taken int, sum int64) {
	w.Helper()
	var err error
	w.onLoop(func() {
		for err == nil && taken < 100_000 {
			body := filled(size, 'r')
			if size >= 4 {
				binary.BigEndian.PutUint32(body, uint32(taken))
			}
			h := wire.Header{Type: wire.Reply, Hit: 1 + uint64(taken)%hits, Seq: uint32(taken)}
			if err = w.loop.Outbox().Send(p.ref, h, body); err == nil {
				taken, sum = taken+1, sum+int64(wire.HeaderSize+size)
			}
		}
	})
	require.ErrorIs(w, err, wire.ErrPeerSlow)
	return taken, sum
}

// A peer that never reads costs at most two windows; then its senders are told, and it is hung up on. Nobody else notices.
func TestPeerThatNeverReads(t *testing.T) {
	for name, at := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			perPath(t, func(t *testing.T, cfg Config) {
				w := newWorld(t, cfg, at, true)
				slow, brisk := w.join(small), w.join(small)
				_, sum := w.fill(slow, 1000, 3)
				require.LessOrEqual(t, sum, int64(2*small+1000+wire.HeaderSize))
				require.GreaterOrEqual(t, sum, int64(2*small-2*(1000+wire.HeaderSize)))
				g := w.gone(slow.ref, "window")
				require.Contains(t, g.Detail, "does not read")
				require.EqualValues(t, 1, w.loop.Stats().HungUp.Load())
				require.Zero(t, w.loop.Stats().Waiting.Load(), "what waited is dropped")
				if name != "inproc" {
					slow.hungUp()
				}
				w.onLoop(func() {
					require.ErrorIs(t, w.loop.Outbox().Send(slow.ref, wire.Header{Type: wire.Reply}, nil), wire.ErrNoPeer)
					require.NoError(t, w.loop.Outbox().Send(brisk.ref, wire.Header{Type: wire.Reply}, nil))
				})
				brisk.hear(wire.Reply)
				brisk.alive()
			})
		})
	}
}

// Where hanging up would hurt others (workers), senders are told and the peer may come to itself: what was taken arrives, each hit's in order, in turns.
func TestPeerThatReadsAtLast(t *testing.T) {
	perPath(t, func(t *testing.T, cfg Config) {
		w := newWorld(t, cfg, "tcp://127.0.0.1:0", false)
		p := w.join(small)
		const hits, size = 5, 700
		taken, _ := w.fill(p, size, hits)
		require.Zero(t, w.loop.Stats().HungUp.Load())
		require.Positive(t, w.loop.Stats().Waiting.Load())
		r := receiver{size: small, received: p.sofar}
		last := map[uint64]uint32{}
		for n := range taken {
			h, body := p.hear(wire.Reply)
			require.EqualValues(t, h.Seq, binary.BigEndian.Uint32(body[0]))
			require.Equal(t, filled(size-4, 'r'), body[0][4:])
			if seq, seen := last[h.Hit]; seen {
				require.EqualValues(t, seq+hits, h.Seq, "message %d", n)
			}
			last[h.Hit] = h.Seq
			if arg, due := r.take(wire.HeaderSize + size); due {
				p.say(wire.Header{Type: wire.Credit, Arg: arg})
			}
		}
		w.eventually("nothing waits", func() bool { return w.loop.Stats().Waiting.Load() == 0 })
		require.Len(t, last, hits)
	})
}

// Small control messages find a place where bodies find none: without END a slot would stay taken for ever. But not without end.
func TestControlMessagesFindAPlace(t *testing.T) {
	w := newWorld(t, Config{}, "tcp://127.0.0.1:0", false)
	p := w.join(small)
	w.fill(p, 100, 1)
	w.onLoop(func() {
		ends := 0
		for w.loop.Outbox().Send(p.ref, wire.Header{Type: wire.End, Hit: 9}) == nil {
			ends++
			require.Less(t, ends, 10_000)
		}
		require.Greater(t, ends, small/wire.HeaderSize/2)
		require.LessOrEqual(t, w.loop.peerByRef(p.ref).wait.bytes, 2*small+wire.HeaderSize)
	})
}

// One message may be larger than any window.
func TestMessageLargerThanTheWindow(t *testing.T) {
	perPath(t, func(t *testing.T, cfg Config) {
		w := newWorld(t, cfg, "tcp://127.0.0.1:0", true)
		p := w.join(small)
		r := receiver{size: small, received: p.sofar}
		for range 3 {
			w.onLoop(func() {
				require.NoError(t, w.loop.Outbox().Send(p.ref, wire.Header{Type: wire.Reply}, filled(1<<20, 'L')), "goes at once, or waits alone")
			})
			_, body := p.hear(wire.Reply)
			require.Len(t, body[0], 1<<20)
			if arg, due := r.take(wire.HeaderSize + 1<<20); due {
				p.say(wire.Header{Type: wire.Credit, Arg: arg})
			}
		}
	})
}

// What is forwarded into a full window waits with bytes of its own: the batch it came in is long gone when it leaves.
func TestForwardedBytesWait(t *testing.T) {
	perPath(t, func(t *testing.T, cfg Config) {
		w := newWorld(t, cfg, "tcp://127.0.0.1:0", false)
		slow, source := w.join(small), w.join(0)
		w.onLoop(func() {
			w.act = func(m any) {
				if m, ok := m.(*wire.Message); ok && m.Header.Type == wire.Call {
					require.NoError(t, w.loop.Outbox().Forward(slow.ref, wire.Header{Type: wire.Reply, Hit: m.Header.Hit}, m))
				}
			}
		})
		const n = 24
		for i := range n {
			source.say(wire.Header{Type: wire.Call, Hit: uint64(i)}, filled(100, byte(i)), filled(1000, byte(i)))
			w.message(wire.Call)
		}
		require.Positive(t, w.loop.Stats().Waiting.Load())
		r := receiver{size: small, received: slow.sofar}
		for i := range n {
			h, body := slow.hear(wire.Reply)
			require.EqualValues(t, i, h.Hit)
			require.Equal(t, frames{filled(100, byte(i)), filled(1000, byte(i))}, body)
			if arg, due := r.take(wire.HeaderSize + 1100); due {
				slow.say(wire.Header{Type: wire.Credit, Arg: arg})
			}
		}
	})
}

func TestCreditThatGoesBackIsIgnored(t *testing.T) {
	w := newWorld(t, Config{}, "tcp://127.0.0.1:0", false)
	p := w.join(small)
	limit := func() (l uint64) {
		w.onLoop(func() { l = w.loop.peerByRef(p.ref).window.limit })
		return l
	}
	before := limit()
	for _, arg := range []uint32{0, 1, 1<<31 + 16, 1<<32 - 1, wire.CreditArg(before)} {
		p.say(wire.Header{Type: wire.Credit, Arg: arg})
	}
	p.say(wire.Header{Type: wire.Ping}) // its PONG is counted, so that the limit below is not the one above
	p.hear(wire.Pong)
	require.Equal(t, before, limit())
	p.say(wire.Header{Type: wire.Credit, Arg: wire.CreditArg(before) + 1000})
	p.alive()
	require.Greater(t, limit(), before)
	require.LessOrEqual(t, limit(), before+p.sofar+2*wire.HeaderSize, "no more than a window beyond what was sent")
}

// Whoever says HELLO again keeps the window it has: what is under way still counts.
func TestGreetingAgainChangesNoWindow(t *testing.T) {
	w := newWorld(t, Config{}, "tcp://127.0.0.1:0", false)
	p := w.join(small)
	w.fill(p, 1000, 1)
	var before, after window
	w.onLoop(func() { before = w.loop.peerByRef(p.ref).window })
	w.onLoop(func() {
		require.EqualValues(t, small, w.loop.Window(p.ref, 1<<20))
		after = w.loop.peerByRef(p.ref).window
	})
	require.Equal(t, before, after)
	require.EqualValues(t, w.loop.cfg.Window, w.loop.Window(999, 0), "of a peer that is gone")
}

// Bytes are counted from WELCOME on, on both sides: refusals before it are not.
func TestBytesBeforeWelcomeDoNotCount(t *testing.T) {
	w := newWorld(t, Config{}, "tcp://127.0.0.1:0", false)
	p := w.dial()
	w.onLoop(func() {
		w.act = func(m any) {
			if m, ok := m.(*wire.Message); ok && string(m.Frame(0)) == `{"name":"first"}` {
				require.NoError(t, w.loop.Outbox().Send(m.From, wire.Header{Type: wire.Error}, filled(3000, 'e')))
			}
		}
	})
	p.say(wire.Header{Type: wire.Hello}, []byte(`{"name":"first"}`))
	p.hear(wire.Error)
	ref := w.message(wire.Hello).From
	p.hear(wire.Welcome)
	w.onLoop(func() { require.Equal(t, p.sofar, w.loop.peerByRef(ref).window.sent) })
}

// Loops on both ends of a small window: CREDIT keeps more flowing than a window holds, for the broker's own client as well.
func TestGuestGivesCredit(t *testing.T) {
	perPath(t, func(t *testing.T, cfg Config) {
		w, broker, id := newGuest(t, cfg, "tcp://127.0.0.1:0")
		say := func(h wire.Header, body ...[]byte) int {
			broker.rawTo(id, append(frames{h.Bytes()}, body...)...)
			return wire.NewMessage(h, body...).Size
		}
		say(wire.Header{Type: wire.Error, Status: wire.Draining}, filled(9000, 'e')) // before WELCOME: not counted
		for _, incarnation := range []string{"one", "two"} {                         // credit is void when the broker is another one
			welcome := wire.JSON(wire.WelcomeInfo{Incarnation: incarnation, Window: small})
			sent := uint64(say(wire.Header{Type: wire.Welcome}, welcome))
			say(wire.Header{Type: wire.Welcome}, welcome) // said again by the same one: counting goes on
			sent += uint64(wire.HeaderSize + len(welcome))
			limit, credits := uint64(small), 0
			for range 100 {
				for limit < sent+1032 {
					got := broker.take()
					var h wire.Header
					require.NoError(t, h.Parse(got[1]))
					require.Equal(t, wire.Credit, h.Type)
					next := wire.CreditLimit(limit, h.Arg)
					require.Greater(t, next, limit)
					require.LessOrEqual(t, next, sent+small)
					limit, credits = next, credits+1
				}
				sent += uint64(say(wire.Header{Type: wire.Reply, Hit: 1}, filled(1000, 'r')))
			}
			require.Positive(t, credits)
			w.onLoop(func() { require.LessOrEqual(t, w.ep.sender.received, sent) })
			// All that it says under this incarnation is taken before the next one.
			say(wire.Header{Type: wire.Ping})
			for h := (wire.Header{}); h.Type != wire.Pong; {
				require.NoError(t, h.Parse(broker.take()[1]))
			}
		}
	})
}

// The outbox reaches the broker of a DEALER as well.
func TestOutboxWritesToABroker(t *testing.T) {
	w, broker, _ := newGuest(t, Config{}, "tcp://127.0.0.1:0")
	w.onLoop(func() {
		out, to := w.loop.Outbox(), w.ep.Broker()
		require.NoError(t, out.Send(to, wire.Header{Type: wire.Call, Hit: 1}, []byte("sent")))
		require.NoError(t, out.Forward(to, wire.Header{Type: wire.Call, Hit: 2}, wire.NewMessage(wire.Header{}, []byte("forwarded"))))
	})
	require.Equal(t, "sent", string(broker.take()[2]))
	require.Equal(t, "forwarded", string(broker.take()[2]))
}
