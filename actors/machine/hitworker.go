package machine

import (
	"encoding/binary"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// opened tells the client that its session stands on its thread.
func (h *Hit) opened(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	h.Thread = m.Header.Arg
	h.signs(now)
	if h.OneShot {
		return fx
	}
	h.State, h.hears = Open, true
	if h.direct != nil {
		return h.openedDirect(fx)
	}
	handle := binary.BigEndian.AppendUint64(nil, h.Handle)
	head := wire.Header{Type: wire.Opened, Flags: wire.Ref, Hit: h.Ref, Epoch: h.Attachment, Arg: h.Thread}
	if k := h.keep; k != nil {
		k.told, k.peer = true, h.Client
		return append(fx, Effect{Kind: Forward, To: h.Client, Header: head, Msg: wire.NewMessage(head, handle, []byte(h.names.Worker), k.key[:])})
	}
	return append(fx, send(h.Client, head, handle, []byte(h.names.Worker)))
}

// openedLate: the session stands, but is being ended already. The client is not told.
func (h *Hit) openedLate(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	h.Thread, h.State = m.Header.Arg, Closing
	return fx
}

// answer passes a REPLY, or an ERROR of the worker, on to the client: one per call, in order.
func (h *Hit) answer(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	seq := m.Header.Seq
	if h.flow != nil || m.Header.Flags.Has(wire.More) {
		return h.streamed(now, m, fx)
	}
	if seq != h.Answered+1 || seq > h.Accepted {
		return h.notNext(m, fx)
	}
	h.Answered = seq
	h.signs(now)
	if h.redo != nil {
		h.redo.answered(h.names.limits)
	}
	return h.pass(m, fx)
}

func (h *Hit) notNext(m *wire.Message, fx []Effect) []Effect {
	return refuse(fx, m, wire.BadSeq, "%v to call %d of hit %x: answered so far %d, asked so far %d: answer each call once, in order",
		m.Header.Type, m.Header.Seq, h.Handle, h.Answered, h.Accepted)
}

// pass hands the client the whole answer, or the ERROR that ends one.
func (h *Hit) pass(m *wire.Message, fx []Effect) []Effect {
	seq := m.Header.Seq
	if h.hears || h.keep != nil || h.task() != nil {
		head := h.toClient(m.Header.Type, seq)
		head.Status, head.Arg = saidBy(m)
		if h.redo != nil {
			head.Arg = h.redo.outcome(head)
		}
		if seq == h.LastSeq {
			head.Flags |= wire.Last
		}
		if h.keep != nil {
			h.keep.add(head, m)
		}
		if h.task() != nil {
			fx = h.report(head, m.Body, fx)
		}
		if h.hears {
			fx = append(fx, Effect{Kind: Forward, To: h.Client, Header: head, Msg: m})
			if doublesReply && seq%8 == 3 {
				fx = append(fx, Effect{Kind: Forward, To: h.Client, Header: head, Msg: m})
			}
		}
	}
	if seq == h.LastSeq || m.Header.Flags != 0 {
		return h.lastAnswer(m, fx)
	}
	return fx
}

// workers are the statuses that a worker may say of a call or a session. All others are the broker's: by some of them a client takes a seq back.
var workers = [wire.Statuses]bool{
	wire.ServiceError: true, wire.Panicked: true, wire.Expired: true, wire.Cancelled: true, wire.BadBody: true, wire.TooLarge: true, wire.LostReply: true,
	wire.BadPart: true, wire.OverCredit: true, wire.SlotTaken: true, wire.LeaseOver: true, wire.UnknownHit: true, wire.UnknownService: true, wire.Draining: true, wire.IsStuck: true,
}

// ownWord returns a worker's status, or service-error in place of one that is not its own to say.
func ownWord(s wire.Status) wire.Status {
	if int(s) < len(workers) && workers[s] {
		return s
	}
	return wire.ServiceError
}

// saidBy returns what a worker's answer says, in words that are its own to say.
func saidBy(m *wire.Message) (wire.Status, uint32) {
	s, arg := m.Header.Status, m.Header.Arg
	switch {
	case m.Header.Type != wire.Error:
		return s, arg
	case ownWord(s) != s, s == wire.TooLarge && arg == uint32(wire.NeverStarted):
		return wire.ServiceError, uint32(wire.Unknown)
	}
	if arg > uint32(wire.ReplyLost) {
		arg = uint32(wire.Unknown)
	}
	return s, arg
}

// lastAnswer follows the answer to the hit's last call, or one that says that the hit has ended.
func (h *Hit) lastAnswer(m *wire.Message, fx []Effect) []Effect {
	asked, said := m.Header.Seq == h.LastSeq, m.Header.Flags.Has(wire.Last)
	switch {
	case asked && said:
		return h.over(m.Header.Status, fx)
	case asked: // does the worker know that this was the end? Its slot must not stay taken.
		h.Client, h.hears = 0, false
		h.State, h.reason = Closing, m.Header.Status
		return append(fx, send(h.Worker, h.toWorker(wire.End, 0)))
	case said: // the session ended by itself
		return h.over(m.Header.Status, h.tellClosed(m.Header.Status, m.Header.Seq, nil, nil, fx))
	}
	return fx
}

// replyOpening takes the answer of a one-shot; others are to be opened first.
func (h *Hit) replyOpening(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	if h.OneShot {
		return h.answer(now, m, fx)
	}
	return refuse(fx, m, wire.BadSeq, "%v of hit %x before OPENED: say OPENED when the session stands, then answer", m.Header.Type, h.Handle)
}

// errorOpening takes the failure of a one-shot, or the worker's refusal of BEGIN.
func (h *Hit) errorOpening(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	if h.OneShot && m.Header.Seq == 1 {
		if h.gaveBack(m) && h.movable() {
			return h.giveBack(m, fx)
		}
		return h.answer(now, m, fx)
	}
	return h.endedOpening(now, m, fx)
}

// failure takes an ERROR: the answer to a call, or, without a seq, a complaint about something we sent.
func (h *Hit) failure(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	s := m.Header.Status
	switch {
	case m.Header.Seq != 0:
		return h.answer(now, m, fx)
	case h.reopening(): // in place of OPENED
		return h.ended(now, m, fx)
	case m.Header.Flags.Has(wire.Last), h.State == Closing && s == wire.UnknownHit: // there is no session, or none any more
		s = ownWord(s)
		return h.over(s, h.tellClosed(s, h.mayHaveBegun(), m.Frame(0), m.Frame(1), fx))
	}
	return append(fx, Effect{Kind: Count, Status: s})
}

// working passes a report of progress on.
func (h *Hit) working(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	h.progress.Renew(now)
	if h.task() != nil && m.Header.Seq == 1 && !h.tag.told {
		return append(fx, Effect{Kind: Report, Event: &taskWorking{h.task(), m.Copy()}})
	}
	if !h.hears || m.Header.Seq <= h.Answered || m.Header.Seq > h.Accepted {
		return fx
	}
	head := h.toClient(wire.Working, m.Header.Seq)
	head.Arg = m.Header.Arg
	return append(fx, Effect{Kind: Forward, To: h.Client, Header: head, Msg: m})
}

// endedOpening: the session could not be opened.
func (h *Hit) endedOpening(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	if h.gaveBack(m) && h.movable() {
		return h.giveBack(m, fx)
	}
	s := ownWord(m.Header.Status)
	return h.over(s, h.failOpen(s, h.begun(m), m.Frame(0), m.Frame(1), fx))
}

// ended: the session is over, by our END or by itself.
func (h *Hit) ended(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	if h.gaveBack(m) && h.movable() {
		return h.giveBack(m, fx)
	}
	s := m.Header.Status
	switch {
	case s != wire.OK:
		s = ownWord(s)
	case h.State >= Aborting:
		s = h.reason
	}
	return h.over(s, h.tellClosed(s, h.begun(m), m.Frame(0), nil, fx))
}

// begun returns the highest call that may have begun, as far as the worker says so.
func (h *Hit) begun(m *wire.Message) uint32 {
	if m.Header.Type == wire.Ended {
		return max(min(m.Header.Arg, h.mayHaveBegun()), h.ran())
	}
	if wire.Outcome(m.Header.Arg) == wire.NeverStarted {
		return h.ran()
	}
	return h.Accepted
}

// stray refuses what the worker says of a session that does not stand like that.
func (h *Hit) stray(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	if h.reopening() && m.Header.Type == wire.Opened {
		return h.reopened(now, m, fx)
	}
	return refuse(fx, m, wire.BadSeq, "%v of hit %x, which is %v already: say it once", m.Header.Type, h.Handle, h.State)
}
