package machine

import (
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// streamed takes an answer where bodies in parts are about: its own, its call's, or that of the answer before it.
func (h *Hit) streamed(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	seq, more := m.Header.Seq, m.Header.Flags.Has(wire.More)
	if h.flow != nil {
		d := &h.flow.down
		switch {
		case d.on && seq == d.Seq && m.Header.Type == wire.Error:
			return h.breakReply(m, fx)
		case d.on:
			return refuse(fx, m, wire.BadSeq, "%v to call %d of hit %x: the reply to call %d is not complete: send its last part, or an ERROR", m.Header.Type, seq, h.Handle, d.Seq)
		case d.gone && seq == d.Seq && seq == h.Answered:
			return h.lateWord(m, fx)
		}
	}
	if seq != h.Answered+1 || seq > h.Accepted {
		return h.notNext(m, fx)
	}
	h.Answered = seq
	h.signs(now)
	if h.redo != nil {
		h.redo.answered(h.names.limits)
	}
	if f := h.faultOf(seq); f != nil {
		return h.answerFault(f, m, fx)
	}
	if !more {
		if h.flow != nil {
			h.flow.up.cut(seq)
		}
		return h.pass(m, fx)
	}
	if text := h.badHead(m); text != "" {
		return h.failReply(m, wire.BadPart, text, fx)
	}
	_ = h.announce(m, func(f *flow) *course { return &f.down }) // judged by badHead
	head := h.toClient(wire.Reply, seq)
	head.Flags |= wire.More
	if h.keep != nil {
		h.keep.add(head, m)
	}
	if h.hears {
		return append(fx, Effect{Kind: Forward, To: h.Client, Header: head, Msg: m})
	}
	if h.adrift() { // nobody takes the parts, and they are not kept
		return h.cutFlow(fx)
	}
	return fx
}

// cutFlow ends what is being sent in parts because the client is lost: the rest of a call's body cannot come, that of a reply is not kept.
func (h *Hit) cutFlow(fx []Effect) []Effect {
	if h.flow == nil {
		return fx
	}
	if up := &h.flow.up; up.on {
		fx = h.failBody(up.Seq, wire.BadPart, "the connection was lost in the middle of the call's body: make the call again", fx)
	}
	if d := &h.flow.down; d.on {
		d.cut(d.Seq)
		fx = append(fx, send(h.Worker, h.toWorker(wire.Cancel, d.Seq)))
	}
	return fx
}

// lateWord drops what the worker still says to an answer that was cut short here; but that the hit has ended must be heard.
func (h *Hit) lateWord(m *wire.Message, fx []Effect) []Effect {
	if m.Header.Flags.Has(wire.Last) && !m.Header.Flags.Has(wire.More) {
		return h.lastAnswer(m, fx)
	}
	return fx
}

// badHead says what is wrong with the beginning of a reply in parts.
func (h *Hit) badHead(m *wire.Message) string {
	switch _, err := wire.ParseSize(m.Header.Type, m.Frame(0)); {
	case h.OneShot:
		return "a reply in parts to a one-shot: only an open hit can have one"
	case m.Header.Flags.Has(wire.Last):
		return "a reply in parts with the flag last: it belongs on the last part"
	case err != nil:
		return err.Error()
	}
	return ""
}

// breakReply: the worker ends a reply in the middle by an ERROR.
func (h *Hit) breakReply(m *wire.Message, fx []Effect) []Effect {
	h.flow.down.on = false
	h.flow.up.cut(m.Header.Seq)
	return h.pass(m, fx)
}

// replyPart passes a part of a reply on to the client.
func (h *Hit) replyPart(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	seq := m.Header.Seq
	if h.flow == nil || h.flow.down.Seq != seq || !h.flow.down.on {
		if h.flow != nil && h.flow.down.gone && h.flow.down.Seq == seq || h.faultOf(seq) != nil {
			return h.lateWord(m, fx)
		}
		return refusePart(m, fx)
	}
	d := &h.flow.down
	if m.Header.Flags.Has(wire.More | wire.Last) {
		return h.failReply(m, wire.BadPart, "a part with the flags more and last: only the last part can be the hit's last word", fx)
	}
	if wrong := d.Take(&m.Header, m.BodySize()); wrong != nil {
		return h.failReply(m, wrong.Status, wrong.Text, fx)
	}
	d.on = m.Header.Flags.Has(wire.More)
	h.progress.Renew(now)
	if h.hears {
		head := h.toClient(wire.Part, seq)
		if !d.on && seq == h.LastSeq {
			head.Flags = wire.Last
		}
		fx = append(fx, h.forwardPart(h.Client, head, m))
	}
	if d.on {
		if d.allowed > d.Limit && h.hears {
			return h.passCredit(d, false, fx)
		}
		return fx
	}
	h.flow.up.cut(seq)
	if seq == h.LastSeq || m.Header.Flags.Has(wire.Last) {
		return h.lastAnswer(m, fx)
	}
	return fx
}

// failReply ends a reply whose parts are wrong. The worker is told, its client gets an ERROR, and what still comes of it is dropped.
func (h *Hit) failReply(m *wire.Message, s wire.Status, text string, fx []Effect) []Effect {
	seq := m.Header.Seq
	if h.flow == nil {
		h.flow = &flow{}
	}
	h.flow.down = course{Stream: wire.Stream{Seq: seq}, gone: true}
	h.flow.up.cut(seq)
	fx = refuse(fx, m, s, "%s", text)
	fx = append(fx, send(h.Worker, h.toWorker(wire.Cancel, seq)))
	return h.answerBad(m, seq, wire.BadPart, wire.Unknown, "worker "+h.names.Worker+" sent a reply that is not whole: "+text, fx)
}

// answerFault answers a call whose body was wrong, in place of the worker.
func (h *Hit) answerFault(f *fault, m *wire.Message, fx []Effect) []Effect {
	bad := *f
	for i := range h.flow.bad {
		if &h.flow.bad[i] == f {
			h.flow.bad = append(h.flow.bad[:i], h.flow.bad[i+1:]...)
			break
		}
	}
	outcome := wire.Unknown
	switch {
	case m.Header.Type == wire.Error && wire.Outcome(m.Header.Arg) == wire.NeverStarted:
		outcome = wire.NeverStarted
	case m.Header.Flags.Has(wire.More):
		h.flow.down = course{Stream: wire.Stream{Seq: bad.seq}, gone: true}
	}
	h.flow.up.cut(bad.seq)
	return h.answerBad(m, bad.seq, bad.status, outcome, bad.text, fx)
}

// answerBad tells the client that a call has failed here, in place of what the worker said.
func (h *Hit) answerBad(m *wire.Message, seq uint32, s wire.Status, o wire.Outcome, text string, fx []Effect) []Effect {
	if h.hears || h.keep != nil {
		head := h.toClient(wire.Error, seq)
		head.Status, head.Arg = s, uint32(o)
		if seq == h.LastSeq {
			head.Flags |= wire.Last
		}
		if h.keep != nil {
			h.keep.add(head, wire.NewMessage(head, []byte(text)))
		}
		if h.hears {
			fx = append(fx, send(h.Client, head, []byte(text)))
		}
	}
	if seq == h.LastSeq || m.Header.Flags.Has(wire.Last) {
		return h.lastAnswer(m, fx)
	}
	return fx
}
