package machine

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// Lose takes the loss of the client's or the worker's connection.
func (h *Hit) Lose(now time.Duration, l *Lost, fx []Effect) []Effect {
	if h.State == Ended {
		return fx
	}
	if !l.Worker {
		if k := h.keep; k != nil && k.told && !l.Final {
			return h.drift(fx)
		} else if k != nil {
			k.over, k.kept, k.bytes = true, nil, 0
		}
		h.Client, h.hears = 0, false
		if h.State == Moving {
			return h.over(wire.Cancelled, h.cancelled(l, fx))
		}
		if h.doomed() {
			return h.concede(now, fx)
		}
		return h.end(wire.Cancelled, true, fx)
	}
	if h.postponed(now, l) || h.State == Moving {
		return fx
	}
	why := h.why(now, l.Why.Verdict)
	why.Detector, why.Measured, why.Values, why.Limits, why.Done, why.Knob = l.Why.Detector, l.Why.Measured, l.Why.Values, l.Why.Limits, l.Why.Done, l.Why.Knob
	why.Hear(l.Why.Heard...)
	if h.movable() {
		return h.leave(&Leaves{Hit: h, Why: why, Status: wire.WorkerGone}, fx)
	}
	h.keepWhy(why)
	text := fmt.Sprintf("worker %s is lost: %s: %s: open the hit again", h.names.Worker, why.Detector, why.Measured)
	return h.over(wire.WorkerGone, h.tellClosed(wire.WorkerGone, h.mayHaveBegun(), []byte(text), why.JSON(), fx))
}

// cancelled answers a task that nobody runs at present.
func (h *Hit) cancelled(l *Lost, fx []Effect) []Effect {
	if h.task() == nil {
		return fx
	}
	return h.failOpen(wire.Cancelled, h.ran(), []byte(l.Why.Measured+" while it was on its way to another worker"), nil, fx)
}

// Kill ends the hit by an operator's order: the client is told at once, the slot is free when the worker has ended.
func (h *Hit) Kill(now time.Duration, k *Kill, fx []Effect) []Effect {
	if h.State == Ended {
		return fx
	}
	why := h.why(now, "KILLED")
	why.Detector, why.Measured, why.Done = "operator", k.By, "the calls were cancelled, the session is being ended"
	h.keepWhy(why)
	text := "an operator ended the hit after " + h.age(now) + ": " + k.By + ": open another one if that was not meant"
	fx = h.tellClosed(wire.Killed, h.mayHaveBegun(), []byte(text), why.JSON(), fx)
	h.Client, h.hears, h.reason = 0, false, wire.Killed
	if h.State == Moving {
		return h.over(wire.Killed, fx)
	}
	return h.end(wire.Killed, true, fx)
}

// crash tells the client that the hit's actor is dead; the machine takes nothing any more.
func (h *Hit) crash(now time.Duration, what string, fx []Effect) []Effect {
	why := h.why(now, "CRASHED")
	why.Detector, why.Measured, why.Done = "supervisor", what, "this hit alone was failed"
	h.keepWhy(why)
	text := "the broker's actor of this hit crashed: " + what + ": open the hit again, and report it as a defect"
	fx = h.tellClosed(wire.Internal, h.mayHaveBegun(), []byte(text), why.JSON(), fx)
	h.Client, h.hears, h.State = 0, false, Ended
	return fx
}

// failOpen answers an OPEN that came to nothing. begun is 0 if its call never started.
func (h *Hit) failOpen(s wire.Status, begun uint32, text, why []byte, fx []Effect) []Effect {
	if h.Client == 0 && h.task() == nil {
		return fx
	}
	head := wire.Header{Type: wire.Error, Flags: wire.Ref, Status: s, Hit: h.Ref, Epoch: h.names.member, Seq: h.Accepted, Arg: uint32(wire.NeverStarted)}
	if begun > 0 {
		head.Arg = uint32(wire.Unknown)
	}
	if h.OneShot {
		head.Flags |= wire.Last
	}
	if len(text) == 0 {
		text = []byte("the session could not be opened (" + s.String() + "): the log of worker " + h.names.Worker + " may tell why")
	}
	if h.task() != nil {
		frames := [][]byte{text}
		if why != nil {
			frames = append(frames, why)
		}
		return h.report(head, frames, fx)
	}
	return append(fx, Effect{Kind: Count, Status: s}, send(h.Client, head, text, why))
}

// tellClosed tells the client that the hit is over. begun is the highest seq that may have begun.
func (h *Hit) tellClosed(s wire.Status, begun uint32, text, why []byte, fx []Effect) []Effect {
	if h.task() != nil {
		return h.failOpen(s, begun, text, why, fx)
	}
	if h.Client == 0 && h.keep == nil {
		return fx
	}
	if h.keep == nil && (!h.hears || h.OneShot) || h.keep != nil && !h.keep.told {
		return h.failOpen(s, begun, text, why, fx) // it knows no handle
	}
	head := h.toClient(wire.Closed, 0)
	head.Status, head.Arg = s, begun
	switch {
	case len(text) > 0:
	case s == wire.OK:
		text = []byte("closed")
	default:
		text = []byte("the session ended by itself (" + s.String() + "): open another one; the log of worker " + h.names.Worker + " may tell why")
	}
	if h.keep != nil {
		h.keep.remember(head, text, why)
		if h.Client == 0 {
			return fx
		}
	}
	if s != wire.OK {
		fx = append(fx, Effect{Kind: Count, Status: s})
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
