package bridge

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// Outbox is where actors on the loop write messages to peers. It belongs to the loop's goroutine; all messages of a turn leave in one
// batch at its end. To the broker of a DEALER it writes through the endpoint's Sender.
type Outbox struct {
	loop  *Loop
	out   *zmqsock.Out
	to    []wire.Peer // of each message, 0 for strangers
	holds []*arena    // arenas with bytes in out
}

// Send sends a message made here; the bytes are copied. The error is wire.ErrNoPeer or wire.ErrPeerSlow; the message is then not sent.
func (o *Outbox) Send(to wire.Peer, h wire.Header, body ...[]byte) error {
	p := o.loop.peerByRef(to)
	if p == nil {
		return wire.ErrNoPeer
	}
	if p.ep.sender != nil {
		return p.ep.sender.SendOn(to, &h, body...)
	}
	size := wire.HeaderSize
	for _, b := range body {
		size += len(b)
	}
	if p.wait.blocks(&h) || !p.window.fits(size) {
		return o.queue(p, wire.NewMessage(h, body...).Copy())
	}
	p.window.sent += uint64(size)
	o.add(p, &h)
	for _, b := range body {
		o.out.Append(b)
	}
	return nil
}

// Forward sends the frames of a received message under another header. Long frames are not copied. Errors as for Send.
func (o *Outbox) Forward(to wire.Peer, h wire.Header, m *wire.Message) error {
	p := o.loop.peerByRef(to)
	if p == nil {
		return wire.ErrNoPeer
	}
	if p.ep.sender != nil {
		return p.ep.sender.SendOn(to, &h, m.Body...)
	}
	if p.wait.blocks(&h) || !p.window.fits(m.Size) {
		return o.postpone(p, &h, m)
	}
	p.window.sent += uint64(m.Size)
	o.put(p, &h, m)
	return nil
}

func (o *Outbox) put(p *peer, h *wire.Header, m *wire.Message) {
	o.add(p, h)
	a, ok := m.Lease.(*arena)
	if !ok {
		if box, moved := m.Lease.(*parcel); moved {
			o.putParcel(box)
			return
		}
		for _, b := range m.Body {
			o.out.Append(b)
		}
		return
	}
	if !a.inOut {
		a.inOut = true
		a.holds++
		o.holds = append(o.holds, a)
	}
	o.out.Forward(a.in, int(m.Slot), a.skip)
}

func (o *Outbox) add(p *peer, h *wire.Header) {
	i := o.out.Add(p.ep.sock, p.id, true)
	h.Put(o.out.Header(i))
	o.to = append(o.to, p.ref)
}

// probe sends a PING past the queue: whether a peer that does not read is still there, nothing else would tell.
func (o *Outbox) probe(p *peer) {
	p.window.sent += wire.HeaderSize
	o.add(p, &wire.Header{Type: wire.Ping})
}

func (o *Outbox) toStranger(ep *Endpoint, id []byte, h wire.Header, text string) {
	i := o.out.Add(ep.sock, id, true)
	h.Put(o.out.Header(i))
	o.out.Append([]byte(text))
	o.to = append(o.to, 0)
}

// postpone keeps a received message under another header until the peer's window has room. A PART is moved, everything else copied.
func (o *Outbox) postpone(p *peer, h *wire.Header, m *wire.Message) error {
	if h.Type != wire.Part {
		c := m.Copy()
		c.Header = *h
		return o.queue(p, c)
	}
	if q := p.wait.queues[h.Hit]; q != nil && q.parts+m.Size > int(p.window.size) && q.parts > 0 {
		o.overflow(p) // a receiver allows at most a window of what it has not taken
		return wire.ErrPeerSlow
	}
	d := Detach(m)
	d.Header = *h
	p.wait.push(d)
	o.loop.stats.Waiting.Add(1)
	return nil
}

// queue keeps a message, which owns its bytes, until the peer's window has room. Small control messages always find a place: without
// END a slot would stay taken for ever.
func (o *Outbox) queue(p *peer, m *wire.Message) error {
	control := m.Size <= wire.HeaderSize
	if limit := int(p.window.size); p.wait.bytes+m.Size > limit && (!control || p.wait.bytes > 2*limit) && p.wait.bytes > 0 {
		o.overflow(p)
		return wire.ErrPeerSlow
	}
	p.wait.push(m)
	o.loop.stats.Waiting.Add(1)
	return nil
}

// overflow hangs up on a peer that does not read, where that hurts nobody else.
func (o *Outbox) overflow(p *peer) {
	if !p.ep.cfg.HangUp {
		return
	}
	o.loop.stats.HungUp.Add(1)
	o.loop.cfg.Logger.Warn("hung up on a peer that does not read", "peer", fmt.Sprintf("%x", p.ref), "unacknowledged", p.window.unacknowledged(),
		"window", p.window.size, "waiting", p.wait.bytes)
	o.loop.hangUp(p, "window", fmt.Sprintf("it does not read: %d bytes unacknowledged of a window of %d bytes, %d bytes waiting",
		p.window.unacknowledged(), p.window.size, p.wait.bytes))
}

// drain sends what the peer's window has room for now.
func (o *Outbox) drain(p *peer) {
	for m := p.wait.next(); m != nil && p.window.fits(m.Size); m = p.wait.next() {
		p.wait.pop()
		o.loop.stats.Waiting.Add(-1)
		p.window.sent += uint64(m.Size)
		o.put(p, &m.Header, m)
	}
}

// flush sends the batch and gives up the leases it held. It returns how many messages there were.
func (o *Outbox) flush() int {
	n := o.out.Len()
	if n == 0 {
		return 0
	}
	refused := o.out.Send()
	var lost []refusal
	if refused > 0 {
		lost = o.failures()
	}
	o.out.Reset()
	o.to = o.to[:0]
	for i, a := range o.holds {
		a.inOut = false
		a.Release()
		o.holds[i] = nil
	}
	o.holds = o.holds[:0]
	o.loop.stats.Sent.Add(uint64(n - refused))
	for _, x := range lost {
		p := o.loop.peerByRef(x.peer)
		switch {
		case p == nil:
		case p.end != nil:
			p.end.confirm(p.ep.round)
		case x.full:
			o.loop.hangUp(p, "window", "a message to it was refused: more wait in its connection than its window allows")
		default:
			// Its descriptor may be another connection's by now, so nothing is hung up.
			o.loop.lose(p, "unreachable", "a message to it was refused: no connection has its routing id any more")
		}
	}
	return n
}

// refusal is a peer that libzmq takes messages for no more: it is gone, or its pipe is full.
type refusal struct {
	peer wire.Peer
	full bool
}

// failures returns the peers that turned out to be gone. One with a full pipe is given up as well: the windows make it impossible for a peer that reads.
func (o *Outbox) failures() []refusal {
	var lost []refusal
	for i, ref := range o.to {
		err := o.out.Err(i)
		if err == nil {
			continue
		}
		o.loop.stats.Unsent.Add(1)
		full := errors.Is(err, syscall.EAGAIN)
		if ref != 0 && (full || errors.Is(err, syscall.EHOSTUNREACH)) {
			lost = append(lost, refusal{ref, full})
		}
	}
	return lost
}
