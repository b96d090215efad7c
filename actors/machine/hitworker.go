package machine

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// opened tells the client that its session stands on its thread.
func (h *Hit) opened(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	h.Thread = m.Header.Arg
	if h.OneShot {
		return fx
	}
	h.State, h.told = Open, true
	return append(fx, h.openedToClient())
}

func (h *Hit) openedToClient() Effect {
	handle := binary.BigEndian.AppendUint64(nil, h.Handle)
	head := wire.Header{Type: wire.Opened, Flags: wire.Ref, Hit: h.Ref, Epoch: h.Attachment, Arg: h.Thread}
	return send(h.Client, head, handle, []byte(h.names.Worker))
}

// answer passes a REPLY, or an ERROR of the worker, on to the client: one per call, in order.
func (h *Hit) answer(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	seq := m.Header.Seq
	if m.Header.Type == wire.Error && seq == 0 {
		return append(fx, Effect{Kind: Count, Status: m.Header.Status}) // a complaint about something we sent
	}
	if seq != h.Answered+1 || seq > h.Accepted || (h.State == Opening && !h.OneShot) {
		return refuse(fx, m, wire.BadSeq, "%v to call %d of hit %x: answered so far %d, asked so far %d: answer each call once, in order, after OPENED",
			m.Header.Type, seq, h.Handle, h.Answered, h.Accepted)
	}
	h.Answered = seq
	head := h.toClient(m.Header.Type, seq)
	head.Status, head.Arg = m.Header.Status, m.Header.Arg
	last := seq == h.LastSeq
	if last {
		head.Flags |= wire.Last
	}
	if h.Client != 0 {
		fx = append(fx, Effect{Kind: Forward, To: h.Client, Header: head, Msg: m})
	}
	if last {
		return h.over(m.Header.Status, fx)
	}
	return fx
}

// working passes a report of progress on.
func (h *Hit) working(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	if h.Client == 0 || m.Header.Seq <= h.Answered || m.Header.Seq > h.Accepted {
		return fx
	}
	head := h.toClient(wire.Working, m.Header.Seq)
	head.Arg = m.Header.Arg
	return append(fx, Effect{Kind: Forward, To: h.Client, Header: head, Msg: m})
}

// endedOpening: the session could not be opened.
func (h *Hit) endedOpening(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	s := m.Header.Status
	if s == wire.OK {
		s = wire.ServiceError
	}
	return h.over(s, h.failOpen(s, wire.NeverStarted, m.Frame(0), nil, fx))
}

// ended: the session is over, by our END or by itself.
func (h *Hit) ended(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	s := m.Header.Status
	if h.State == Closing && s == wire.OK {
		s = h.reason
	}
	text := m.Frame(0)
	if len(text) == 0 && s == wire.OK {
		text = []byte("closed")
	}
	return h.over(s, h.tellClosed(s, m.Header.Arg, text, nil, fx))
}

// stray refuses what the worker says of a session that does not stand like that.
func (h *Hit) stray(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	return refuse(fx, m, wire.BadSeq, "%v of hit %x, which is %v already", m.Header.Type, h.Handle, h.State)
}

// Lose takes the loss of the client's or the worker's connection.
func (h *Hit) Lose(now time.Duration, l *Lost, fx []Effect) []Effect {
	if h.State == Ended {
		return fx
	}
	if !l.Worker {
		h.Client = 0
		return h.end(wire.Cancelled, true, fx)
	}
	why := l.Why
	why.Worker, why.AgeMS = h.names.Worker, (now - h.Opened).Milliseconds()
	text := fmt.Sprintf("worker %s is lost: %s: %s: open the hit again", h.names.Worker, why.Detector, why.Measured)
	record := mustJSON(why)
	if h.State == Opening {
		outcome := wire.NeverStarted
		if h.Accepted > 0 {
			outcome = wire.Unknown
		}
		return h.over(wire.WorkerGone, h.failOpen(wire.WorkerGone, outcome, []byte(text), record, fx))
	}
	return h.over(wire.WorkerGone, h.tellClosed(wire.WorkerGone, h.Accepted, []byte(text), record, fx))
}

// Kill ends the hit by an operator's order: the client is told at once, the slot is free when the worker has ended.
func (h *Hit) Kill(now time.Duration, k *Kill, fx []Effect) []Effect {
	if h.State == Ended {
		return fx
	}
	why := mustJSON(Why{Verdict: "KILLED", Detector: "operator", Measured: k.By, Done: "the calls were cancelled, the session is being ended",
		Worker: h.names.Worker, AgeMS: (now - h.Opened).Milliseconds()})
	text := []byte("an operator ended the hit after " + h.age(now) + ": " + k.By)
	if h.Client != 0 {
		if h.State == Opening {
			fx = h.failOpen(wire.Killed, wire.Unknown, text, why, fx)
		} else {
			fx = h.tellClosed(wire.Killed, h.Accepted, text, why, fx)
		}
	}
	h.Client = 0
	return h.end(wire.Killed, true, fx)
}

// failOpen answers an OPEN that came to nothing.
func (h *Hit) failOpen(s wire.Status, o wire.Outcome, text, why []byte, fx []Effect) []Effect {
	if h.Client == 0 {
		return fx
	}
	head := wire.Header{Type: wire.Error, Flags: wire.Ref, Status: s, Hit: h.Ref, Seq: h.Accepted, Arg: uint32(o)}
	if h.OneShot {
		head.Flags |= wire.Last
	}
	if len(text) == 0 {
		text = []byte("the session could not be opened: " + s.String())
	}
	return append(fx, send(h.Client, head, text, why))
}

// tellClosed tells the client that the hit is over. begun is the highest seq that may have begun.
func (h *Hit) tellClosed(s wire.Status, begun uint32, text, why []byte, fx []Effect) []Effect {
	if h.Client == 0 {
		return fx
	}
	if !h.told {
		return h.failOpen(s, wire.NeverStarted, text, why, fx) // it never knew the handle
	}
	head := h.toClient(wire.Closed, 0)
	head.Status, head.Arg = s, begun
	if len(text) == 0 {
		text = []byte("the session ended: " + s.String())
	}
	return append(fx, send(h.Client, head, text, why))
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("machine: a record without a JSON form: " + err.Error())
	}
	return b
}
