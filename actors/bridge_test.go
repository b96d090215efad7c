package actors_test

import (
	"slices"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// bridge is the ports of a house without any socket. It belongs to the goroutine of the loop.
type bridge struct {
	t      testing.TB
	root   *actor.RootContext
	keeper *actor.PID
	now    time.Duration
	conns  []*connection
	leases []*lease
	next   uint64
	inUse  map[uint64]bool
	bound  map[uint64]*actor.PID
	timers []*timer
	onSend func(wire.Header) // may panic
}

// connection is a peer as the bridge knows it.
type connection struct {
	ref    wire.Peer
	pid    *actor.PID
	inbox  []*wire.Message
	gone   bool
	fails  error // what the outbox says to BEGIN, CALL and END
	reason string
	silent time.Duration // of its transport
}

func newBridge(t testing.TB, root *actor.RootContext) *bridge {
	return &bridge{t: t, root: root, inUse: map[uint64]bool{}, bound: map[uint64]*actor.PID{}, onSend: func(wire.Header) {}}
}

func (b *bridge) connect() *connection {
	c := &connection{ref: wire.Peer(len(b.conns) + 1)}
	b.conns = append(b.conns, c)
	return c
}

// lease counts the holds on a message's bytes, and spoils them when there are none left.
type lease struct {
	t     testing.TB
	holds int
	bytes [][]byte
	taken int // in all
}

// Retain is wire.Lease's.
func (l *lease) Retain() {
	require.Positive(l.t, l.holds, "retained after its end")
	l.holds++
	l.taken++
}

// Release is wire.Lease's.
func (l *lease) Release() {
	require.Positive(l.t, l.holds, "released too often")
	l.holds--
	if l.holds == 0 {
		for _, b := range l.bytes {
			for i := range b {
				b[i] = 0xdb
			}
		}
	}
}

// deliver hands on a message as the bridge's loop does: its bytes live until nobody holds them.
func (b *bridge) deliver(c *connection, h wire.Header, body []string) {
	b.t.Helper()
	frames := make([][]byte, len(body))
	for i := range body {
		frames[i] = []byte(body[i])
	}
	require.NoError(b.t, h.Check(len(frames)), "a test says what is not HIT/1")
	m := wire.NewMessage(h, frames...)
	l := &lease{t: b.t, holds: 1, bytes: frames}
	m.Lease, m.From = l, c.ref
	b.leases = append(b.leases, l)
	defer m.Release()
	if t := h.Type; h.Hit != 0 && !h.Flags.Has(wire.Ref) && (t >= wire.Call && t <= wire.Close || t >= wire.Opened && t <= wire.Error || t == wire.Ended) {
		if pid := b.bound[h.Hit]; pid != nil {
			b.root.Send(pid, m)
			return
		}
	}
	b.root.Send(b.owner(c), m)
}

func (b *bridge) owner(c *connection) *actor.PID {
	if c.pid != nil {
		return c.pid
	}
	return b.keeper
}

// lose ends a connection.
func (b *bridge) lose(c *connection, detector, detail string) {
	if c.gone {
		return
	}
	c.gone, c.reason = true, detector
	b.root.Send(b.owner(c), &wire.PeerGone{Peer: c.ref, Detector: detector, Detail: detail})
}

func (b *bridge) take(to wire.Peer, h wire.Header, body [][]byte) error {
	b.onSend(h)
	c := b.conns[to-1]
	switch {
	case c.gone:
		return wire.ErrNoPeer
	case c.fails != nil && (h.Type == wire.Begin || h.Type == wire.Call || h.Type == wire.End || h.Type == wire.Reply):
		return c.fails
	}
	require.NoError(b.t, h.Check(len(body)), "what is sent is not HIT/1: %v", h)
	c.inbox = append(c.inbox, wire.NewMessage(h, body...).Copy())
	return nil
}

// Send is actors.Outbox's.
func (b *bridge) Send(to wire.Peer, h wire.Header, body ...[]byte) error { return b.take(to, h, body) }

// Forward is actors.Outbox's.
func (b *bridge) Forward(to wire.Peer, h wire.Header, m *wire.Message) error {
	if l, ok := m.Lease.(*lease); ok {
		require.Positive(b.t, l.holds, "a message is forwarded after its lease has ended")
	}
	return b.take(to, h, m.Body)
}

// Reserve is actors.Directory's.
func (b *bridge) Reserve() uint64 {
	b.next++
	b.inUse[b.next<<24] = true
	return b.next << 24
}

// Bind is actors.Directory's.
func (b *bridge) Bind(handle uint64, pid *actor.PID, _ actor.Mailbox) {
	require.True(b.t, b.inUse[handle], "handle %x is bound, but is not in use", handle)
	if pid == nil {
		delete(b.bound, handle)
	} else {
		b.bound[handle] = pid
	}
}

// Free is actors.Directory's.
func (b *bridge) Free(handle uint64) {
	require.True(b.t, b.inUse[handle], "handle %x is freed, but is not in use", handle)
	delete(b.inUse, handle)
	delete(b.bound, handle)
}

// Lookup is actors.Directory's.
func (b *bridge) Lookup(handle uint64) *actor.PID { return b.bound[handle] }

// Attach is actors.Peers'.
func (b *bridge) Attach(ref wire.Peer, pid *actor.PID) {
	c := b.conns[ref-1]
	c.pid = pid
	if c.gone {
		b.root.Send(pid, &wire.PeerGone{Peer: ref, Detector: "closed", Detail: "before it was attached"})
	}
}

// Window is actors.Peers'.
func (b *bridge) Window(wire.Peer, int64) int64 { return 4 << 20 }

// HangUp is actors.Peers'.
func (b *bridge) HangUp(ref wire.Peer, detector, detail string) {
	b.lose(b.conns[ref-1], detector, detail)
}

// Silent is actors.Peers'.
func (b *bridge) Silent(ref wire.Peer) (time.Duration, bool, bool) {
	return b.conns[ref-1].silent, true, false
}

// timer is one of the loop's.
type timer struct {
	b   *bridge
	pid *actor.PID
	msg any
	at  time.Duration
}

func (b *bridge) newTimer(pid *actor.PID, msg any) actors.Timer {
	t := &timer{b: b, pid: pid, msg: msg}
	b.timers = append(b.timers, t)
	return t
}

// Set is actors.Timer's.
func (t *timer) Set(at time.Duration) { t.at = at }

// Stop is actors.Timer's.
func (t *timer) Stop() { t.at = 0 }

func (b *bridge) fire(d time.Duration) {
	b.now += d
	for _, t := range slices.Clone(b.timers) {
		if t.at > 0 && t.at <= b.now {
			t.at = 0
			b.root.Send(t.pid, t.msg)
		}
	}
}
