package machine

import (
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/supervision/liveness"
)

// call passes a call on to the worker.
func (h *Hit) call(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	fx = h.accept(now, m, fx)
	if m.Header.Flags.Has(wire.More) && m.Header.Seq > h.Accepted {
		h.refusedBody(m.Header.Seq)
	}
	return fx
}

// full says why there is no place for one more call, empty if there is.
func (h *Hit) full(m *wire.Message) string {
	l := h.names.limits
	switch under := h.Accepted - h.Answered; {
	case under >= l.Calls:
		return fmt.Sprintf("has %d calls under way, the limit is %d (the broker's --max-calls): wait for answers", under, l.Calls)
	case h.keep != nil && h.Answered-h.keep.acked >= maxUnacked:
		return fmt.Sprintf("has %d answers that were not acknowledged: send ACK", h.Answered-h.keep.acked)
	case h.State == Moving && (m.Header.Flags.Has(wire.More) || !h.redo.fits(l, m.Size)):
		return fmt.Sprintf("is on its way to another worker, and the broker cannot keep call %d meanwhile: make it again later, or in one smaller message", m.Header.Seq)
	}
	return ""
}

// accept judges a call.
func (h *Hit) accept(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	if h.direct != nil {
		return refuse(fx, m, wire.BadType, "CALL of hit %x, which is direct: send its calls to the endpoint that OPENED names", h.Handle)
	}
	if h.LastSeq != 0 {
		return refuse(fx, m, wire.IsClosed, "hit %x closes after call %d: open another one", h.Handle, h.LastSeq)
	}
	if m.Header.Seq != h.Accepted+1 {
		return refuse(fx, m, wire.BadSeq, "call %d of hit %x: %d is next: number calls one by one", m.Header.Seq, h.Handle, h.Accepted+1)
	}
	if full := h.full(m); full != "" {
		return refuse(fx, m, wire.QueueFull, "hit %x %s", h.Handle, full)
	}
	if h.unfinished() {
		return refuse(fx, m, wire.BadSeq, "call %d of hit %x: the body of call %d is not complete: send its last part first, or CANCEL", m.Header.Seq, h.Handle, h.flow.up.Seq)
	}
	if h.Accepted == h.Answered {
		h.progress.Turn(liveness.StampOf(now), m.Header.Arg)
		h.watch()
	}
	head := h.toWorker(wire.Call, m.Header.Seq)
	head.Arg = m.Header.Arg
	if flags := m.Header.Flags; flags != 0 {
		if flags.Has(wire.More) {
			if err := h.callBody(m); err != nil {
				return refuse(fx, m, wire.BadFrame, "%v", err)
			}
		}
		if flags.Has(wire.Last) {
			h.LastSeq = m.Header.Seq
		}
		head.Flags = flags &^ wire.Idempotent
	}
	h.Accepted = m.Header.Seq
	if h.redo != nil {
		h.redoCall(now, m)
		if h.State == Moving {
			return fx
		}
	}
	return append(fx, Effect{Kind: Forward, To: h.Worker, Header: head, Msg: m})
}

// earlyCall refuses a call before OPENED: the client cannot know the handle yet.
func (h *Hit) earlyCall(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	return refuse(fx, m, wire.BadSeq, "hit %x is not open yet: wait for OPENED", h.Handle)
}

// lateCall refuses a call of a hit that closes or has ended.
func (h *Hit) lateCall(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	if m.Header.Flags.Has(wire.More) {
		h.refusedBody(m.Header.Seq)
	}
	return refuse(fx, m, wire.IsClosed, "hit %x is %v: open another one", h.Handle, h.State)
}

// Undeliver takes back what could not be passed on: a call, whose seq is free again, or the OPEN, which ends the hit.
func (h *Hit) Undeliver(u Undelivered, fx []Effect) []Effect {
	m := u.Msg
	if h.redo != nil {
		if fx, taken := h.undeliveredMove(u, fx); taken {
			return fx
		}
	}
	if m.Header.Type == wire.Open {
		h.undelivered = true
		text := "worker " + h.names.Worker + " cannot be told of the hit: " + u.Cause.Error() + ": open it again"
		return h.over(u.Status, h.tellClosed(u.Status, h.ran(), []byte(text), nil, fx))
	}
	if m.Header.Type == wire.Part {
		return h.lostPart(u, fx)
	}
	if h.Accepted == m.Header.Seq {
		h.Accepted--
		h.LastSeq = 0
		if h.redo != nil {
			h.redo.takeBack(h.names.limits)
		}
		h.cancelFlow(m.Header.Seq)
	}
	remedy := "try again later, or send less at once"
	if u.Status == wire.WorkerGone {
		remedy = "the hit is lost with it, open another one"
	}
	return refuse(fx, m, u.Status, "worker %s cannot be told of call %d: %v: %s", h.names.Worker, m.Header.Seq, u.Cause, remedy)
}

// passCancel passes a cancellation on: 0 cancels all calls. One of a call that was refused must not reach the worker: its seq will be another call's.
func (h *Hit) passCancel(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	streams := h.cancelFlow(m.Header.Seq)
	if seq := m.Header.Seq; seq != 0 && (seq <= h.Answered && !streams || seq > h.Accepted) {
		return fx
	}
	if h.redo != nil {
		h.redo.cancel(m.Header.Seq, h.Accepted)
	}
	return append(fx, send(h.Worker, h.toWorker(wire.Cancel, m.Header.Seq)))
}

// close begins the orderly end: the worker runs what waits, closes the session and answers ENDED.
func (h *Hit) close(now time.Duration, _ *wire.Message, fx []Effect) []Effect {
	if h.doomed() {
		return h.concede(now, fx)
	}
	if h.LastSeq != 0 {
		return fx
	}
	return h.end(wire.OK, false, fx)
}

// closeOpening ends a hit whose OPENED is not here yet; the client speaks by reference.
func (h *Hit) closeOpening(_ time.Duration, _ *wire.Message, fx []Effect) []Effect {
	return h.end(wire.Cancelled, true, fx)
}

// end asks the worker to end the session; with cancel its calls are cancelled first. A one-shot, or a hit whose last call is under way,
// ends with its answer anyway.
func (h *Hit) end(reason wire.Status, cancel bool, fx []Effect) []Effect {
	if cancel {
		fx = append(fx, send(h.Worker, h.toWorker(wire.Cancel, 0)))
	}
	if h.OneShot || h.State >= Aborting {
		return fx
	}
	if h.LastSeq == 0 || cancel { // who is to stop must know that this is the end, even when its last call waits unread
		fx = append(fx, send(h.Worker, h.toWorker(wire.End, 0)))
	}
	h.reason = reason
	if h.State == Opening {
		h.State = Aborting
	} else {
		h.State = Closing
	}
	return fx
}

func (h *Hit) ignore(_ time.Duration, _ *wire.Message, fx []Effect) []Effect { return fx }
