package machine

import (
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/supervision/liveness"
)

// repair is what is done about a call that is stuck.
type repair uint8

// The repairs, as READY names them.
const (
	repairTell    repair = iota // it is recorded and shown, the call goes on
	repairFail                  // the client is told at once, the session is ended
	repairRestart               // what may run again goes to another worker, else as fail
)

var repairNames = [...]string{"tell", "fail", "restart"}

func repairOf(name string) repair {
	for i, n := range repairNames {
		if n == name {
			return repair(i)
		}
	}
	return repairTell
}

// Stuck is an event: the hit's thread makes no progress, and its service wants that to be an end.
type Stuck struct{ Why Why }

// watch puts the hit among those that may run a call. The judge takes it out when it finds it idle.
func (h *Hit) watch() {
	if h.runner == 0 && h.names.limits.judges {
		h.names.limits.running.add(h)
	}
}

func (h *Hit) unwatch() {
	if h.runner != 0 {
		h.names.limits.running.remove(h)
	}
}

// signs notes that the hit's thread has opened its session, or answered: the next call, if one waits, begins.
func (h *Hit) signs(now time.Duration) {
	h.progress.Sign = liveness.StampOf(now)
	h.progress.Turn(h.progress.Sign, 0)
}

// busy reports whether the hit's thread has something to do.
func (h *Hit) busy() bool {
	return h.Accepted != h.Answered || h.State == Opening || h.State == Aborting
}

// mayStop reports whether the hit's worker was not told yet to stop what runs.
func (h *Hit) mayStop() bool {
	return h.State == Opening || h.State == Open || h.State == Closing && h.reason == wire.OK
}

// hold takes a worker's word that the running call will give no sign for some time.
func (h *Hit) hold(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	if seq := m.Header.Seq; h.direct != nil && h.State != Ended && int32(seq-h.Answered) > 0 {
		h.account(now, seq-1, true) // no TALLY has told yet that this one runs
	}
	if h.State == Ended || m.Header.Seq != 0 && m.Header.Seq != h.Answered+1 {
		return fx // the call is over
	}
	h.progress.Declare(now, time.Duration(m.Header.Arg)*time.Millisecond)
	return fx
}

// judgeCalls looks at all hits that may run a call.
func (b *Broker) judgeCalls(now time.Duration, fx []Effect) []Effect {
	var verdicts [2]liveness.Effect
	since := b.judge.Since()
	for i := 0; i < len(b.limits.running); {
		h := b.limits.running[i]
		if h.State == Ended || h.State == Moving || !h.busy() && h.progress.Told() == liveness.Healthy {
			h.unwatch() // another one takes its place
			continue
		}
		i++
		told := verdicts[:0]
		if h.busy() {
			told = h.progress.Ran(now, since, h.names.lease, told)
		} else {
			told = h.progress.Answer(now, false, told)
		}
		for _, f := range told {
			fx = b.callVerdict(now, h, f, fx)
		}
	}
	return fx
}

// callVerdict records a verdict about a call, and does what its service wants about it.
func (b *Broker) callVerdict(now time.Duration, h *Hit, f liveness.Effect, fx []Effect) []Effect {
	y := h.whyCall(now, f)
	y.Broker = b.cfg.Name
	switch f.Verdict {
	case liveness.Stuck:
		y.Detector, y.Knob = "progress lease", "--stuck of the broker; for a service a longer lease (Service.Lease, lease_ms in READY), for a call Call.Hold"
		y.Measured = fmt.Sprintf("the hit's thread has given no sign for %v, its lease is %v; its worker is alive", f.Measured.Round(time.Millisecond), f.Limit)
		y.Done = "it was noted: the call goes on, and its client may cancel it"
		if h.names.repair != repairTell && h.mayStop() {
			y.Done = "the calls were cancelled, the client was told, the session is being ended"
			if h.movable() {
				y.Done = "the calls were cancelled, the session is being ended, and the hit goes to another worker"
			}
			fx = append(fx, Effect{Kind: Tell, Hit: h, Event: &Stuck{Why: *y}})
		}
	case liveness.Slow:
		y.Detector, y.Knob = "deadline", "the deadline of the call"
		y.Measured = fmt.Sprintf("the call has run for %v, its deadline was %v after its turn came", f.Measured.Round(time.Millisecond), f.Limit)
		y.Done = "it was noted: the worker stops it if its code looks at the deadline"
	default:
		y.Detector = "progress lease"
		y.Measured, y.Done = fmt.Sprintf("the thread gave a sign again after %v", f.Measured.Round(time.Millisecond)), "the verdict STUCK was taken back"
	}
	return append(b.record(*y, fx), Effect{Kind: Note, Event: y})
}

// whyCall begins the record of a verdict about the running call.
func (h *Hit) whyCall(now time.Duration, f liveness.Effect) *Why {
	y := h.why(now, f.Verdict.String())
	if f.Limit > 0 {
		y.Measure("no_sign", f.Measured, f.Limit)
	}
	if h.Accepted != h.Answered {
		y.Call = h.Answered + 1
	}
	return &y
}

// Overdue takes Stuck: the client is told at once, and the session is ended. The slot is taken until the worker has done so.
func (h *Hit) Overdue(_ time.Duration, e *Stuck, fx []Effect) []Effect {
	if !h.busy() || !h.mayStop() {
		return fx // the answer came meanwhile
	}
	if h.movable() {
		fx = append(fx, send(h.Worker, h.toWorker(wire.Cancel, 0)))
		if !h.OneShot && h.State != Closing {
			fx = append(fx, send(h.Worker, h.toWorker(wire.End, 0)))
		}
		return h.leave(&Leaves{Hit: h, Why: e.Why, Status: wire.IsStuck, Behind: true}, fx)
	}
	text := e.Why.Measured + ": its calls were cancelled: open another hit, or give the service a longer lease"
	fx = h.tellClosed(wire.IsStuck, h.mayHaveBegun(), []byte(text), e.Why.JSON(), fx)
	h.Client, h.hears, h.reason = 0, false, wire.IsStuck
	return h.end(wire.IsStuck, true, fx)
}
