package machine

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// callMoving keeps a call for the next worker.
func (h *Hit) callMoving(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	if h.redo.closing {
		return h.lateCall(now, m, fx)
	}
	return h.call(now, m, fx)
}

// cancelMoving: a hit that its client does not know yet, or a one-shot, is over; what an open one has under way is cancelled at the next worker.
func (h *Hit) cancelMoving(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	r, seq := h.redo, m.Header.Seq
	if !r.told {
		return h.over(wire.Cancelled, h.failOpen(wire.Cancelled, r.ran, []byte("cancelled by its client while it was on its way to another worker"), nil, fx))
	}
	if (seq == 0 || seq > h.Answered && seq <= h.Accepted) && !slices.Contains(r.cancels, seq) {
		r.cancels = append(r.cancels, seq)
	}
	return fx
}

// closeMoving: calls under way are answered first.
func (h *Hit) closeMoving(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	switch {
	case !h.redo.told:
		return h.cancelMoving(now, m, fx)
	case h.LastSeq != 0:
	case h.Accepted == h.Answered:
		return h.over(wire.OK, h.tellClosed(wire.OK, h.ran(), nil, nil, fx))
	default:
		h.redo.closing = true
	}
	return fx
}

// Moved sends the next worker all that the one before has not answered.
func (h *Hit) Moved(now time.Duration, e *Moved, fx []Effect) []Effect {
	if h.State != Moving {
		return fx
	}
	r := h.redo
	h.Worker, h.Assignment, h.names, h.Thread = e.Worker, e.Epoch, e.Names, 0
	h.progress.Begin(now, 0)
	h.watch()
	head := h.toWorker(wire.Begin, 0)
	head.Arg = left(now, r.open)
	begin := r.open
	if r.told {
		fx = append(fx, Effect{Kind: Forward, To: h.Worker, Header: head, Msg: begin})
		return h.sendAgain(now, fx)
	}
	h.State = Opening
	if len(r.calls) > 0 {
		begin = wire.NewMessage(r.open.Header, slices.Concat(r.open.Body, r.calls[0].Body)...)
		head.Flags, head.Seq = wire.First, 1
		if h.OneShot {
			head.Flags |= wire.Last
		}
	}
	return append(fx, Effect{Kind: Forward, To: h.Worker, Header: head, Msg: begin})
}

// sendAgain sends the calls of a hit that its client takes for open, behind BEGIN: the worker runs them when the session stands.
func (h *Hit) sendAgain(now time.Duration, fx []Effect) []Effect {
	r, pins := h.redo, false
	h.State, h.reason, r.opening, r.resent = Open, wire.OK, true, h.Accepted
	for i, c := range r.calls {
		head := h.toWorker(wire.Call, h.Answered+1+uint32(i))
		head.Flags, head.Arg = c.Header.Flags&wire.Last, left(now, c)
		pins = pins || !c.Header.Flags.Has(wire.Idempotent)
		fx = append(fx, Effect{Kind: Forward, To: h.Worker, Header: head, Msg: c})
	}
	for _, seq := range r.cancels {
		if seq == 0 || seq > h.Answered {
			r.cancel(seq, h.Accepted)
			fx = append(fx, send(h.Worker, h.toWorker(wire.Cancel, seq)))
		}
	}
	r.cancels = nil
	if r.closing {
		h.State = Closing
		fx = append(fx, send(h.Worker, h.toWorker(wire.End, 0)))
	}
	if pins {
		h.pin()
	}
	return fx
}

// left returns the ms that are left of a deadline: at least 1, since 0 is none.
func left(now time.Duration, m *wire.Message) uint32 {
	arg := m.Header.Arg
	if arg == 0 {
		return 0
	}
	gone := uint32(min(max(now-m.At, 0).Milliseconds(), math.MaxUint32))
	return max(arg, gone+1) - gone
}

// reopening reports whether the session of a hit, which its client takes for open, is being opened at another worker.
func (h *Hit) reopening() bool { return h.redo != nil && h.redo.opening }

// reopened: the session stands. Its client need not hear of it.
func (h *Hit) reopened(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	if h.reopening() {
		h.redo.opening, h.Thread = false, m.Header.Arg
		h.signs(now)
	}
	return fx
}

// undeliveredMove takes what could not be passed on of a hit that may move. It reports whether that is settled.
func (h *Hit) undeliveredMove(u Undelivered, fx []Effect) ([]Effect, bool) {
	seq, opens := u.Msg.Header.Seq, u.Msg.Header.Type == wire.Open
	again := u.Msg.Header.Type == wire.Call && seq <= h.redo.resent
	switch {
	case h.State == Moving || h.State == Ended:
		return fx, true // it has left that worker
	case !opens && !again:
		return fx, false
	}
	y := Why{Detector: "send", Measured: fmt.Sprintf("%s cannot be told of the hit: %v", h.names.Worker, u.Cause)}
	if opens {
		if !h.movable() {
			return fx, false
		}
		return h.leave(&Leaves{Hit: h, Why: y, Status: u.Status, Unsent: true}, fx), true
	}
	fx = append(fx, send(h.Worker, h.toWorker(wire.Cancel, 0)), send(h.Worker, h.toWorker(wire.End, 0)))
	if h.movable() {
		return h.leave(&Leaves{Hit: h, Why: y, Status: u.Status, Behind: true}, fx), true
	}
	fx = h.tellClosed(u.Status, h.Accepted, []byte(y.Measured+": open another hit"), nil, fx)
	h.Client, h.hears, h.reason, h.State = 0, false, u.Status, Closing
	return fx, true
}

// Unmoved tells the client the last verdict: nobody has taken the hit up.
func (h *Hit) Unmoved(now time.Duration, fx []Effect) []Effect {
	if h.State != Moving {
		return fx
	}
	y, s := h.redo.why, h.redo.status
	y.AtMS, y.Done = now.Milliseconds(), "no other worker took it up in time: its client was told"
	text := fmt.Sprintf("worker %s has lost the hit: %s: %s; no other worker of %s had a slot for it in time: open the hit again", h.names.Worker, y.Detector, y.Measured, h.names.Service)
	var record []byte
	if y.Verdict != "" {
		h.keepWhy(y)
		record = y.JSON()
	}
	return h.over(s, h.tellClosed(s, h.ran(), []byte(text), record, fx))
}
