package bridge

import (
	"errors"
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// fdTypes asks the shim for the descriptor of messages that register a peer.
const fdTypes = 1<<uint(wire.Hello) | 1<<uint(wire.Ready)

// receive takes one batch from the endpoint and delivers it. It returns how many messages came.
func (l *Loop) receive(ep *Endpoint) (int, error) {
	if ep.sock == nil {
		return 0, nil
	}
	a, err := l.take()
	if err != nil {
		return 0, err
	}
	defer a.Release()
	ep.round++
	n, err := a.in.Recv(ep.sock, l.cfg.Batch, fdTypes)
	empty := n < l.cfg.Batch && !a.in.Full()
	a.used = n
	a.skip = 2
	if ep.sender != nil {
		a.skip = 1
	}
	for i := range n {
		if ep.sender != nil {
			ep.fromBroker(a, i)
		} else {
			ep.fromPeer(a, i)
		}
	}
	l.stats.Received.Add(uint64(n))
	ep.bury(empty)
	return n, err
}

// fromPeer decodes message i of a ROUTER: routing id, header, frames.
func (ep *Endpoint) fromPeer(a *arena, i int) {
	meta := a.in.Meta(i)
	start := len(a.frames)
	a.frames = a.in.Frames(i, a.frames)
	frames := a.frames[start:]
	id := frames[0]
	m := &a.msgs[i]
	m.Lease, m.Slot, m.At = a, uint32(i), time.Duration(ep.loop.now+int64(i))
	if len(frames) < 2 {
		ep.refuse(id, m, &wire.BadMessage{Status: wire.BadFrame, Text: "a message without frames: send a HIT/1 header"})
		return
	}
	m.Size = meta.Size - len(id)
	if err := ep.decode(m, frames[1], frames[2:len(frames):len(frames)], meta); err != nil {
		ep.refuse(id, m, err)
		return
	}
	p := ep.peer(id)
	if p == nil {
		if p = ep.register(id, m, meta); p == nil {
			return
		}
	}
	m.From = p.ref
	hot := &kinds[m.Header.Type]
	if hot.door != nil {
		hot.door(ep, p, m)
		return
	}
	ep.deliver(p, m, hot.hit)
}

// fromBroker decodes message i of a DEALER: header, frames.
func (ep *Endpoint) fromBroker(a *arena, i int) {
	meta := a.in.Meta(i)
	start := len(a.frames)
	a.frames = a.in.Frames(i, a.frames)
	frames := a.frames[start:]
	m := &a.msgs[i]
	m.Lease, m.Slot, m.At, m.Size = a, uint32(i), time.Duration(ep.loop.now+int64(i)), meta.Size
	p := ep.peers[0]
	if p == nil {
		return
	}
	ep.sender.acknowledge(meta.Size)
	if err := ep.decode(m, frames[0], frames[1:len(frames):len(frames)], meta); err != nil {
		ep.refuse(nil, m, err)
		return
	}
	m.From = p.ref
	hot := &kinds[m.Header.Type]
	if hot.door != nil {
		hot.door(ep, p, m)
		return
	}
	ep.deliver(p, m, hot.slot)
}

// decode fills the message from its frames and judges it.
func (ep *Endpoint) decode(m *wire.Message, header []byte, body [][]byte, meta zmqsock.Meta) error {
	if err := m.Header.Parse(header); err != nil {
		if len(header) == wire.HeaderSize {
			m.Header.Type = wire.Type(header[3]) // so that an ERROR of another version is not answered, too
		}
		return err
	}
	m.Body = body
	if err := m.Header.Check(len(body) + meta.Dropped); err != nil {
		return err
	}
	if !ep.accept[m.Header.Type] {
		return &wire.BadMessage{Status: wire.BadType, Text: fmt.Sprintf("%v is not for this endpoint: clients and workers have endpoints of their own", m.Header.Type)}
	}
	if limit := ep.loop.cfg.MaxBody; m.Size-wire.HeaderSize > limit {
		return &wire.BadMessage{Status: wire.TooLarge, Text: fmt.Sprintf(
			"%v with %d bytes of body: the limit is %d bytes (the broker's --max-body): send less", m.Header.Type, m.Size-wire.HeaderSize, limit)}
	}
	return nil
}

// kind says how messages of a type are treated before an actor sees them.
type kind struct {
	hit  bool // at a ROUTER, it goes to the hit it names
	slot bool // at a DEALER, it goes to whoever serves the hit it names
	door func(*Endpoint, *peer, *wire.Message)
}

var kinds = [256]kind{
	wire.Call: {hit: true, slot: true}, wire.Cancel: {hit: true}, wire.Close: {hit: true},
	wire.Opened: {hit: true}, wire.Reply: {hit: true}, wire.Working: {hit: true}, wire.Error: {hit: true}, wire.Ended: {hit: true}, wire.Tally: {hit: true}, wire.Hold: {hit: true},
	wire.Ack: {hit: true}, wire.Probe: {hit: true},
	wire.Part:   {hit: true},
	wire.End:    {door: (*Endpoint).end},
	wire.Credit: {door: (*Endpoint).credit}, wire.Ping: {door: (*Endpoint).pong}, wire.Welcome: {door: (*Endpoint).welcome},
}

// deliver hands a message to the PID it is for. Copies go to those who live elsewhere.
func (ep *Endpoint) deliver(p *peer, m *wire.Message, hit bool) {
	root := ep.loop.cfg.System.Root
	if hit && m.Header.Hit != 0 && !m.Header.Flags.Has(wire.Ref) {
		if ep.sender != nil {
			if pid := ep.sender.hits[m.Header.Hit]; pid != nil {
				root.Send(pid, m.Copy())
				return
			}
		} else if ep.posts != nil {
			if ep.toHit(p, m) {
				return
			}
		} else if ep.loop.dir.send(m.Header.Hit, m) {
			return
		}
	}
	p.heard = ep.loop.now
	if ep.cfg.OffLoop {
		m = m.Copy()
	}
	root.Send(p.pid, m)
}

// peer returns the registered peer of a routing id.
func (ep *Endpoint) peer(id []byte) *peer {
	if ep.last != nil && string(ep.last.id) == string(id) {
		return ep.last
	}
	p := ep.byID[string(id)]
	if p != nil {
		ep.last = p
	}
	return p
}

// register admits a stranger whose first message is HELLO or READY, and refuses others.
func (ep *Endpoint) register(id []byte, m *wire.Message, meta zmqsock.Meta) *peer {
	if len(id) != 5 || id[0] != 0 {
		ep.refuse(id, m, &wire.BadMessage{Status: wire.BadIdentity, Text: fmt.Sprintf(
			"the connection has chosen its own routing id %q: leave ZMQ_ROUTING_ID unset, HIT/1 knows peers by ids nobody can claim", id)})
		return nil
	}
	t := m.Header.Type
	if t != wire.Hello && t != wire.Ready {
		ep.refuse(id, m, &wire.BadMessage{Status: wire.NotRegistered, Text: fmt.Sprintf(
			"%v from a connection that has not said HELLO or READY (the broker may have been restarted): register first", t)})
		return nil
	}
	if ep.cfg.Curve != nil && meta.User == "" {
		ep.loop.stats.Nobody.Add(1)
		ep.refuse(id, m, &wire.BadMessage{Status: wire.Refused, Text: "nobody has judged this connection's key: the broker's handler for that does not answer, start the broker again"})
		return nil
	}
	if meta.FD >= 0 {
		// An older connection's end must be seen before its descriptor can mean another one.
		ep.hearEvents()
	}
	p := ep.admit(id, meta.FD)
	p.user = meta.User
	return p
}

// refuse answers a message that goes no further, and counts it. An ERROR is not answered.
func (ep *Endpoint) refuse(id []byte, m *wire.Message, err error) {
	var bad *wire.BadMessage
	if !errors.As(err, &bad) {
		bad = &wire.BadMessage{Status: wire.BadFrame, Text: err.Error()}
	}
	l := ep.loop
	l.stats.refuse(bad.Status)
	if m.Header.Type == wire.Error {
		return
	}
	h := wire.Header{
		Type: wire.Error, Flags: m.Header.Flags & wire.Ref, Status: bad.Status,
		Hit: m.Header.Hit, Epoch: m.Header.Epoch, Seq: m.Header.Seq, Arg: uint32(wire.NeverStarted),
	}
	if m.Header.Type == wire.Open {
		h.Flags |= m.Header.Flags & wire.Last
	}
	if ep.sender != nil {
		_ = ep.sender.Send(&h, []byte(bad.Text))
		return
	}
	if p := ep.byID[string(id)]; p != nil {
		_ = l.out.Send(p.ref, h, []byte(bad.Text))
		return
	}
	if !ep.strangers.mayAnswer(id) {
		l.stats.Ignored.Add(1)
		return
	}
	l.out.toStranger(ep, id, h, bad.Text)
}

// credit takes a peer's acknowledgement and sends what waited for it. With a hit it is about a body in parts, and for those who speak there.
func (ep *Endpoint) credit(p *peer, m *wire.Message) {
	if m.Header.Hit != 0 {
		ep.deliver(p, m, ep.sender == nil)
		return
	}
	if p.window.credit(m.Header.Arg) {
		ep.loop.out.drain(p)
	}
	if p.guest != nil {
		p.guest.credit(m.Header.Arg)
	}
}

// end hands END to whoever serves its hit, behind the hit's calls.
func (ep *Endpoint) end(p *peer, m *wire.Message) {
	if ep.cfg.Ends != nil {
		ep.cfg.Ends(m)
	}
	ep.deliver(p, m, ep.sender != nil)
}

// pong answers a PING: this loop lives.
func (ep *Endpoint) pong(p *peer, m *wire.Message) {
	h := wire.Header{Type: wire.Pong, Arg: m.Header.Arg}
	if ep.sender != nil {
		_ = ep.sender.Send(&h)
		return
	}
	if p.guest != nil {
		_ = p.guest.Send(&h) // behind all answers so far
		return
	}
	_ = ep.loop.out.Send(p.ref, h)
}

// welcome takes the window from a broker's WELCOME, and passes it on.
func (ep *Endpoint) welcome(p *peer, m *wire.Message) {
	if ep.sender != nil {
		ep.sender.welcome(m)
	}
	ep.deliver(p, m, false)
}
