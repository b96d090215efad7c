package machine

import (
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// flow is what a hit knows of bodies in parts (hit.md, section 15). A hit that never had one has no flow.
type flow struct {
	up, down course // of the call that is being sent, of the reply that is being sent
	bad      []fault
	refused  uint32 // seq of the last call that was refused together with its body
}

// course is one direction of a flow: at most one body at a time goes that way.
type course struct {
	wire.Stream        // its Limit is what the sender was told
	allowed     uint64 // bytes that the receiver has allowed in all
	on          bool   // parts are to come
	gone        bool   // they are not wanted any more: those that still come have crossed the end in good faith
}

// maxAhead is how many bytes of a body a sender is allowed beyond what has come: whatever its receiver allows, no more than that waits at the sender.
const maxAhead = 4 << 20

// advance returns what the sender may be told now, if that is worth a message.
func (c *course) advance() (arg uint32, due bool) {
	limit := min(c.allowed, (c.Sent+maxAhead)>>10<<10)
	if limit <= c.Limit || limit < c.allowed && limit-c.Limit < maxAhead/4 {
		return 0, false
	}
	c.Limit = limit
	return wire.CreditArg(limit), true
}

// cut ends a course in the middle, if it is the one of this call.
func (c *course) cut(seq uint32) {
	if c.on && c.Seq == seq {
		c.on, c.gone = false, true
	}
}

// crossed reports whether parts of a call, of which no body is awaited, were sent before its sender could know that.
func (f *flow) crossed(seq, accepted uint32) bool {
	return f.up.gone && f.up.Seq == seq || f.refused == seq && seq > accepted
}

// fault is a call whose body was wrong: whatever the worker answers, its client is told this.
type fault struct {
	seq    uint32
	status wire.Status
	text   string
}

// unfinished reports whether the body of a call is still being sent.
func (h *Hit) unfinished() bool { return h.flow != nil && h.flow.up.on }

// callBody begins the body of a call.
func (h *Hit) callBody(m *wire.Message) error {
	return h.announce(m, func(f *flow) *course { return &f.up })
}

// refusedBody notes a call that was refused: its parts may cross the refusal.
func (h *Hit) refusedBody(seq uint32) {
	if h.flow == nil {
		h.flow = &flow{}
	}
	h.flow.refused = seq
}

func (h *Hit) announce(m *wire.Message, which func(*flow) *course) error {
	size, err := wire.ParseSize(m.Header.Type, m.Frame(0))
	if err != nil {
		return err
	}
	if h.flow == nil {
		h.flow = &flow{}
	}
	*which(h.flow) = course{Stream: wire.Stream{Seq: m.Header.Seq, Size: size}, on: true}
	return nil
}

// stream takes PART and CREDIT, which either side may send.
func (h *Hit) stream(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	worker := m.From == h.Worker
	switch {
	case h.State == Ended:
		return unknownHit(m, fx)
	case m.Header.Type == wire.Credit:
		return h.credit(m, worker, fx)
	case worker:
		return h.replyPart(now, m, fx)
	}
	return h.callPart(m, fx)
}

// credit passes on what a receiver allows, to the other side.
func (h *Hit) credit(m *wire.Message, worker bool, fx []Effect) []Effect {
	if h.flow == nil {
		return fx
	}
	c := &h.flow.down
	if worker {
		c = &h.flow.up
	}
	if !c.on || c.Seq != m.Header.Seq {
		return fx // all of it has been sent
	}
	limit := wire.CreditLimit(c.allowed, m.Header.Arg)
	switch {
	case limit != c.allowed:
		c.allowed = limit
		return h.passCredit(c, worker, fx)
	case m.Header.Arg != wire.CreditArg(limit):
		return append(fx, Effect{Kind: Count, Status: wire.OverCredit})
	}
	return fx
}

// passCredit tells the sender of a body what it may send, if that has become more: the client, of a call's body.
func (h *Hit) passCredit(c *course, up bool, fx []Effect) []Effect {
	arg, due := c.advance()
	switch {
	case !due:
		return fx
	case !up:
		head := h.toWorker(wire.Credit, c.Seq)
		head.Arg = arg
		return append(fx, send(h.Worker, head))
	case h.Client == 0:
		return fx
	}
	head := h.toClient(wire.Credit, c.Seq)
	head.Arg = arg
	return append(fx, send(h.Client, head))
}

// callPart passes a part of a call's body on to the worker.
func (h *Hit) callPart(m *wire.Message, fx []Effect) []Effect {
	seq := m.Header.Seq
	if h.flow == nil || !h.flow.up.on || h.flow.up.Seq != seq {
		return h.strayPart(m, fx)
	}
	c := &h.flow.up
	if wrong := c.Take(&m.Header, m.BodySize()); wrong != nil {
		return h.failBody(seq, wrong.Status, wrong.Text, fx)
	}
	c.on = m.Header.Flags.Has(wire.More)
	fx = append(fx, h.forwardPart(h.Worker, h.toWorker(wire.Part, seq), m))
	if c.on && c.allowed > c.Limit {
		return h.passCredit(c, true, fx)
	}
	return fx
}

func (h *Hit) forwardPart(to wire.Peer, head wire.Header, m *wire.Message) Effect {
	head.Part = m.Header.Part
	head.Flags |= m.Header.Flags & wire.More
	return Effect{Kind: Forward, To: to, Header: head, Msg: m}
}

// strayPart takes a part of the client that no body is waiting for. A call that is under way has got more than was its own, and fails.
func (h *Hit) strayPart(m *wire.Message, fx []Effect) []Effect {
	seq := m.Header.Seq
	switch {
	case seq <= h.Answered, h.flow != nil && h.flow.crossed(seq, h.Accepted):
		return fx
	case seq <= h.Accepted:
		if h.faultOf(seq) != nil {
			return fx
		}
		if h.flow == nil {
			h.flow = &flow{}
		}
		return h.failBody(seq, wire.BadPart, "a part came for the call, whose body was complete or not announced in parts: set the flag more on what is followed by parts", fx)
	}
	return refusePart(m, fx)
}

// refusePart answers a part of no call. The ERROR names no seq, which may be another call's soon.
func refusePart(m *wire.Message, fx []Effect) []Effect {
	c := *m
	c.Header.Seq = 0
	return refuse(fx, &c, wire.BadPart, "part %d of call %d of hit %x, of which no parts are awaited: announce them by the flag more", m.Header.Part, m.Header.Seq, m.Header.Hit)
}

// failBody ends a call whose body is wrong: the worker is asked to stop, and its answer will be replaced.
func (h *Hit) failBody(seq uint32, s wire.Status, text string, fx []Effect) []Effect {
	h.flow.up.cut(seq)
	h.flow.bad = append(h.flow.bad, fault{seq, s, text})
	return append(fx, Effect{Kind: Count, Status: s}, send(h.Worker, h.toWorker(wire.Cancel, seq)))
}

func (h *Hit) faultOf(seq uint32) *fault {
	for i := range h.flow.faults() {
		if h.flow.bad[i].seq == seq {
			return &h.flow.bad[i]
		}
	}
	return nil
}

func (f *flow) faults() []fault {
	if f == nil {
		return nil
	}
	return f.bad
}

// lostPart takes a part of a call that the worker could not be handed: the call fails.
func (h *Hit) lostPart(u Undelivered, fx []Effect) []Effect {
	seq := u.Msg.Header.Seq
	if h.State == Ended || h.flow == nil || h.faultOf(seq) != nil {
		return fx
	}
	h.flow.up.on, h.flow.up.gone = false, true
	return h.failBody(seq, u.Status, "worker "+h.names.Worker+" cannot be handed the body: "+u.Cause.Error()+": make the call again later", fx)
}

// cancelFlow: who cancels a call sends no more of its body. It reports whether the call's reply is still being sent.
func (h *Hit) cancelFlow(seq uint32) bool {
	if h.flow == nil {
		return false
	}
	up := &h.flow.up
	if seq == 0 {
		seq = up.Seq
	}
	up.cut(seq)
	return h.flow.down.on && h.flow.down.Seq == seq
}
