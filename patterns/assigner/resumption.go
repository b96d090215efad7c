package assigner

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// resumption is what a hit has that outlives its connection; others have none. It is under the hit's lock.
type resumption struct {
	key         machine.Key
	limit       time.Duration // how long the broker keeps the hit
	incarnation string        // of its broker
	up          bool          // attached: calls can be sent
	sent        uint32        // seq of the last call that was handed to a connection
	received    uint32        // seq of the last answer
	tries       uint32        // RESUMEs since the last RESUMED
	asked       wire.Peer     // the connection that was asked for it last
	answers     int           // not acknowledged yet, and their bytes
	bytes       int
	fromTicket  bool     // of an earlier process: what was under way is to be inherited
	want        uint32   // the last call the ticket knows of
	waiting     *pending // of Client.Resume
	inherited   []*Inherited
	timer       *time.Timer // gives the hit up
}

// A client acknowledges after so many answers or bytes: the broker need not keep them any more.
const (
	ackAnswers = 32
	ackBytes   = 64 << 10
)

// noteAnswer counts an answer of the worker and acknowledges now and then. The hit's lock is held.
func (h *Hit) noteAnswer(m *wire.Message) {
	r := h.res
	r.received = max(r.received, m.Header.Seq)
	r.answers++
	r.bytes += m.Size
	if r.answers >= ackAnswers || r.bytes >= ackBytes || m.Header.Flags.Has(wire.Last) {
		h.acknowledge(m.Header.Epoch)
	}
}

func (h *Hit) acknowledge(epoch uint32) {
	h.res.answers, h.res.bytes = 0, 0
	_ = h.up.link.ep.Sender().SendOn(h.peer, &wire.Header{Type: wire.Ack, Hit: h.handle, Epoch: epoch, Arg: h.res.received})
}

// transmit sends a call, or leaves it for when the hit is attached again. The hit's lock is held.
func (h *Hit) transmit(p *pending) {
	if !h.res.up {
		return
	}
	head := wire.Header{Type: wire.Call, Hit: h.handle, Epoch: h.epoch, Seq: p.seq}
	if !p.deadline.IsZero() {
		head.Arg = untilDeadline(p.deadline)
	}
	if p.idempotent {
		head.Flags = wire.Idempotent
	}
	if h.up.link.ep.Sender().SendOn(h.peer, &head, p.frames...) == nil {
		h.res.sent = max(h.res.sent, p.seq)
	}
}

// drift notes that the connection is lost: the hit waits for the next one. A reply in parts does not come back.
func (h *Hit) drift() {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.res
	if d := h.down; d != nil {
		h.down = nil
		h.over(d, &Error{
			Status: wire.LostReply, Outcome: Unknown, Service: h.service, Hit: h.handle,
			Text: "the connection to the broker was lost in the middle of the reply, which is not kept: make the call again if that is safe",
		})
	}
	r.up = false
	if r.timer == nil && (h.ended == nil || h.closing != nil) {
		r.timer = time.AfterFunc(r.limit, h.expire)
	}
}

// expire gives the hit up: by now the broker has, too.
func (h *Hit) expire() {
	h.mu.Lock()
	r := h.res
	up, sent := r.up || r.timer == nil, r.sent
	r.timer = nil
	h.mu.Unlock()
	if up {
		return
	}
	h.up.drop(h.handle)
	h.end(wire.BrokerGone, sent, fmt.Sprintf("the broker was not reached again within %v, for which it keeps the hit: open another one", r.limit), nil)
}

// takeUp asks for the hit on the connection with this peer.
func (h *Hit) takeUp(peer wire.Peer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.res
	if r.up {
		return
	}
	r.tries++
	r.asked = peer
	_ = h.up.link.ep.Sender().SendOn(peer, &wire.Header{Type: wire.Resume, Hit: h.handle, Seq: r.sent, Arg: r.received}, r.key[:])
}

// askedAt reports whether a connection has been asked for the hit.
func (h *Hit) askedAt(peer wire.Peer) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.res.asked == peer
}

// takeUpAll resumes the hits of an earlier connection to the same broker, and ends those of another one.
func (u *uplink) takeUpAll(incarnation string, peer wire.Peer) {
	u.mu.Lock()
	var mine, void []*Hit
	for handle, h := range u.hits {
		switch {
		case h.res == nil:
		case h.res.incarnation == incarnation:
			mine = append(mine, h)
		default:
			void = append(void, h)
			delete(u.hits, handle)
		}
	}
	u.mu.Unlock()
	for _, h := range mine {
		if !h.askedAt(peer) { // else Client.Resume was faster
			h.takeUp(peer)
		}
	}
	for _, h := range void {
		h.mu.Lock()
		sent := h.res.sent
		h.mu.Unlock()
		h.end(wire.BrokerGone, sent, "the broker was restarted, and the hit is lost with the old one: open another one", nil)
	}
}

// resumed takes RESUMED. Nobody wants a hit that is not known here: it goes back.
func (u *uplink) resumed(m *wire.Message) {
	h := u.hit(m.Header.Hit)
	if h == nil || h.res == nil {
		_ = u.link.ep.Sender().SendOn(m.From, &wire.Header{Type: wire.Detach, Hit: m.Header.Hit, Epoch: m.Header.Epoch})
		return
	}
	if !h.attached(m) {
		_ = u.link.ep.Sender().SendOn(m.From, &wire.Header{Type: wire.Detach, Hit: m.Header.Hit, Epoch: m.Header.Epoch})
		u.drop(m.Header.Hit)
		h.end(wire.Fenced, 1<<32-1, "another client has held the hit meanwhile, with its ticket: open another one, or resume it with a fresh ticket", nil)
	}
}

// attached begins the next attachment: what never reached the broker is sent again, the rest is waited for. It reports false if another client
// has held the hit in between, so that the numbers of calls mean nothing any more.
func (h *Hit) attached(m *wire.Message) bool {
	h.mu.Lock()
	r := h.res
	if !r.fromTicket && m.Header.Epoch-h.epoch > r.tries {
		h.mu.Unlock()
		return false
	}
	h.epoch, h.peer, r.up, r.tries = m.Header.Epoch, m.From, true, 0
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	var acked uint32
	if len(m.Frame(1)) == 4 {
		acked = binary.BigEndian.Uint32(m.Frame(1))
	}
	var over []settlement
	if r.fromTicket {
		h.worker = string(m.Frame(0))
		over = h.inherit(m.Header.Seq, acked)
	} else {
		over = h.catchUp(m.Header.Seq, acked)
	}
	if h.closing != nil {
		_ = h.up.link.ep.Sender().SendOn(h.peer, &wire.Header{Type: wire.Close, Hit: h.handle, Epoch: h.epoch})
	}
	waiting := r.waiting
	r.waiting, r.fromTicket = nil, false
	h.mu.Unlock()
	for _, s := range over {
		h.up.settle(s.call, answer{err: s.err})
	}
	if waiting != nil {
		h.up.settle(waiting, answer{hit: h})
	}
	return true
}

// settlement is the end of a call, to be told outside of the hit's lock.
type settlement struct {
	call *pending
	err  *Error
}

// catchUp sorts the calls under way by what the broker says of them. The lock is held.
func (h *Hit) catchUp(accepted, acked uint32) (over []settlement) {
	var kept []*pending
	next := accepted
	for _, p := range h.calls {
		given := p.settled.Load()
		switch {
		case p.seq <= acked:
			over = append(over, settlement{p, h.fail(wire.LostReply, ReplyLost, "another holder of the hit's ticket has received the answer")})
			continue
		case p.seq <= accepted && given:
			_ = h.up.link.ep.Sender().SendOn(h.peer, &wire.Header{Type: wire.Cancel, Hit: h.handle, Epoch: h.epoch, Seq: p.seq})
		case p.seq <= accepted:
		case given:
			continue // nobody waits, and it never started
		case p.doomed != nil:
			over = append(over, settlement{p, p.doomed})
			continue
		default:
			next++
			p.seq = next
			h.transmit(p)
		}
		kept = append(kept, p)
	}
	h.calls, h.next = kept, next
	return over
}

func (h *Hit) fail(s wire.Status, o Outcome, text string) *Error {
	return &Error{Status: s, Outcome: o, Text: text, Service: h.service, Hit: h.handle}
}

// inherit makes the calls of an earlier process, whose answers are still to come, calls of this one. The lock is held.
func (h *Hit) inherit(accepted, acked uint32) (over []settlement) {
	r := h.res
	r.received = max(r.received, acked)
	r.sent, h.next = accepted, accepted
	for seq := r.received + 1; seq <= max(accepted, r.want); seq++ {
		p := newPending(nil)
		p.seq = seq
		h.up.underway.Add(1)
		r.inherited = append(r.inherited, &Inherited{Seq: seq, hit: h, call: p})
		if seq > accepted {
			over = append(over, settlement{p, h.fail(wire.BrokerGone, NeverStarted, "the call had not reached the broker when its connection was lost: call again")})
			continue
		}
		h.calls = append(h.calls, p)
	}
	return over
}

// refused takes the ERROR that answers RESUME, and reports whether it is that.
func (h *Hit) resumeRefused(m *wire.Message) bool {
	h.mu.Lock()
	r := h.res
	up, sent := r.up, r.sent
	h.mu.Unlock()
	if up || m.Header.Type != wire.Error {
		return false
	}
	if m.Header.Status != wire.NotRegistered { // else it is registered anew, and asks again
		h.up.drop(h.handle)
		h.end(m.Header.Status, sent, string(m.Frame(0)), nil)
	}
	return true
}

// ticket is the hit's, as of now. The lock is held.
func (h *Hit) ticket() *ticket {
	r := h.res
	return &ticket{
		Broker: h.up.cfg.Broker, Incarnation: r.incarnation, Hit: fmt.Sprintf("%x", h.handle), Key: hex.EncodeToString(r.key[:]), Service: h.service,
		ResumeMS: r.limit.Milliseconds(), Sent: h.next, Received: r.received,
	}
}
