package bridge

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// What is kept beyond its handler without a lease is overwritten; with a lease, or as a copy, it stays as it was.
func TestBytesHaveLeases(t *testing.T) {
	perPath(t, func(t *testing.T, cfg Config) {
		w := newWorld(t, cfg, "tcp://127.0.0.1:0", true)
		p := w.join(0)
		var kept, retained []byte
		var lease, copied *wire.Message
		w.onLoop(func() {
			w.act = func(told any) {
				m, _ := told.(*wire.Message)
				switch string(m.Body[0][:4]) {
				case "kept":
					kept = m.Body[0]
				case "held":
					m.Retain()
					lease, retained = m, m.Body[0]
				case "copy":
					copied = m.Copy()
				}
			}
		})
		for _, word := range []string{"held", "copy", "next", "kept"} {
			p.say(wire.Header{Type: wire.Call}, append([]byte(word), filled(40, '.')...), filled(2000, 'b'))
			w.message(wire.Call)
		}
		w.onLoop(func() {
			require.Equal(t, filled(44, 0xDB), kept)
			require.Equal(t, "held"+string(filled(40, '.')), string(retained))
			require.Equal(t, "copy"+string(filled(40, '.')), string(copied.Body[0]))
			require.Equal(t, filled(2000, 'b'), lease.Body[1])
			require.Equal(t, filled(2000, 'b'), copied.Body[1])
			a := lease.Lease
			lease.Release()
			require.Equal(t, filled(44, 0xDB), retained)
			require.PanicsWithValue(t, "bridge: an arena was released more often than retained", a.Release)
			a.Retain()
			copied.Retain()
			copied.Release()
			copied.Release() // nobody's, so it does nothing
		})
	})
}

// A message that waits in mailboxes from one actor to the next is forwarded as it came, whatever arrives meanwhile; after that all arenas are free.
func TestForwardedThroughActors(t *testing.T) {
	perPath(t, func(t *testing.T, cfg Config) {
		cfg.Throughput, cfg.Batch = 3, 8
		w := newWorld(t, cfg, "tcp://127.0.0.1:0", true)
		p := w.join(0)
		last := w.spawn(func(c actor.Context) {
			if m, ok := c.Message().(*wire.Message); ok {
				require.NoError(t, w.loop.Outbox().Forward(m.From, wire.Header{Type: wire.Reply, Seq: m.Header.Seq}, m))
			}
		})
		middle := w.spawn(func(c actor.Context) {
			if m, ok := c.Message().(*wire.Message); ok {
				c.Send(last, m)
			}
		})
		var handle uint64
		w.onLoop(func() {
			handle = w.loop.Directory().Reserve()
			w.loop.Directory().Bind(handle, middle, nil)
		})
		const n = 2000
		body := func(i int) frames { return frames{filled(i%300, byte(i)), {}, filled(20+i%7, byte(i+1))} }
		for i := range n {
			p.say(wire.Header{Type: wire.Call, Hit: handle, Seq: uint32(i)}, body(i)...)
		}
		for i := range n {
			h, got := p.hear(wire.Reply)
			require.EqualValues(t, i, h.Seq)
			require.Equal(t, body(i), got)
		}
		w.onLoop(func() {
			require.Len(t, w.loop.free, w.loop.arenas)
			require.LessOrEqual(t, w.loop.arenas, maxSpare)
		})
	})
}

// What is refused, unknown or lost on the way keeps no arena.
func TestRefusedMessagesKeepNoArena(t *testing.T) {
	w := newWorld(t, Config{MaxBody: 1000}, "tcp://127.0.0.1:0", true)
	p := w.join(0)
	for range 50 {
		for _, x := range allNonsense(1000) {
			p.raw(x.frames...)
			p.hear(wire.Error)
		}
		p.say(wire.Header{Type: wire.Call, Hit: 1 << 40}, []byte("no such hit"))
		w.message(wire.Call)
	}
	w.onLoop(func() {
		require.Len(t, w.loop.free, w.loop.arenas)
		require.LessOrEqual(t, w.loop.arenas, maxSpare)
	})
}

// A lease that outlives the loop is still its holder's; the memory goes with it.
func TestLeaseBeyondTheEnd(t *testing.T) {
	w := newWorld(t, Config{}, "tcp://127.0.0.1:0", true)
	p := w.join(0)
	var held *wire.Message
	w.onLoop(func() {
		w.act = func(m any) {
			held, _ = m.(*wire.Message)
			held.Retain()
		}
	})
	p.say(wire.Header{Type: wire.Call}, []byte("held"))
	w.message(wire.Call)
	w.stop()
	require.Equal(t, 1, w.loop.arenas)
	require.Equal(t, "held", string(held.Body[0]))
	held.Release()
	require.Zero(t, w.loop.arenas)
}
