package machine

import (
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// redo is what the broker keeps of a hit that may go to another worker (hit.md, section 17): what that one has to be sent.
type redo struct {
	open    *wire.Message   // its OPEN, with service and options only, and with bytes of its own
	calls   []*wire.Message // those accepted and not answered, in order; nil: it was not kept
	missing int             // of calls
	bytes   int             // of all of them
	pinned  bool            // a call that is not idempotent was sent to a worker: the hit stays where it is
	moves   int             // so far
	ran     uint32          // calls up to this one may have run at an earlier worker
	resent  uint32          // calls up to this one were sent to the present worker by Moved
	stopped uint32          // calls up to this one were cancelled: the hit does not move for their sake
	cancels []uint32        // what its client has cancelled while it was moving
	told    bool            // its client knew the handle when it left its worker
	closing bool            // its client wants it closed when all calls are answered
	opening bool            // the session at the present worker does not stand yet, but its client takes it for open
	past    []past          // workers that still have a session of it
	status  wire.Status     // what its client is told when nobody takes it up
	why     Why             // the same

	// The broker's:
	order uint64
	until time.Duration
	index int // in the heap of those that wait, -1 when out
}

// past is a session that the hit has left while its worker lived.
type past struct {
	worker *Worker
	behind
	over bool // it has ended
}

// behind is a session that a worker still has, but no hit.
type behind struct {
	epoch  uint32
	untold bool // it ends with its answer, so that it was not told to end
}

// Leaves is an event for the broker: the hit has left its worker, and wants another one.
type Leaves struct {
	Hit    *Hit
	Why    Why         // of the verdict; without one it was none
	Status wire.Status // what the client is told if there is no other worker
	Behind bool        // the worker still has the session: its slot is taken until that has ended
	Unsent bool        // the worker was not told of the hit
	Ended  bool        // the worker has given it back
}

// Moved is an event: the hit is at another worker.
type Moved struct {
	Worker wire.Peer
	Names  *Names
	Epoch  uint32
}

// Unmoved is an event: no worker has taken the hit up in time.
type Unmoved struct{}

// redoFor keeps the OPEN of a hit that may move, as far as that may be kept. arg is what is left of its deadline in ms.
func (h *Hit) redoFor(now time.Duration, m *wire.Message, arg uint32) {
	l, f := h.names.limits, m.Header.Flags
	if h.names.repair != repairRestart || l.moves == 0 || h.direct != nil || f.Has(wire.First) && !f.Has(wire.Idempotent) {
		return
	}
	r := &redo{index: -1}
	if !r.fits(l, m.Size) {
		return
	}
	c := m.Copy()
	r.open = wire.NewMessage(c.Header, c.Body[:2:2]...)
	r.open.From, r.open.At, r.open.Header.Arg = c.From, now, arg
	r.take(l, r.open.Size)
	if f.Has(wire.First) {
		first := wire.NewMessage(wire.Header{Type: wire.Call, Flags: f & (wire.Last | wire.Idempotent), Seq: 1, Arg: arg}, c.Body[2:]...)
		first.At = now
		r.calls = append(r.calls, first)
		r.take(l, first.Size)
	}
	h.redo = r
}

// fits reports whether so many bytes more may be kept.
func (r *redo) fits(l *Limits, size int) bool {
	return r.bytes+size+wire.HeaderSize <= l.redoHit && size+wire.HeaderSize <= l.redo
}

func (r *redo) take(l *Limits, size int) {
	r.bytes += size
	l.redo -= size
}

// drop forgets all that is kept.
func (r *redo) drop(l *Limits) {
	l.redo += r.bytes
	r.bytes, r.open, r.calls, r.missing = 0, nil, nil, 0
}

// forget drops one call.
func (r *redo) forget(l *Limits, c *wire.Message) {
	if c == nil {
		r.missing--
		return
	}
	r.bytes -= c.Size
	l.redo += c.Size
}

// answered forgets the first call: it has its answer.
func (r *redo) answered(l *Limits) {
	if len(r.calls) == 0 {
		return
	}
	r.forget(l, r.calls[0])
	r.calls[0] = nil
	if r.calls = r.calls[1:]; len(r.calls) == 0 {
		r.calls = nil
	}
}

// takeBack forgets the last call: it did not reach the worker.
func (r *redo) takeBack(l *Limits) {
	if n := len(r.calls) - 1; n >= 0 {
		r.forget(l, r.calls[n])
		r.calls = r.calls[:n]
	}
}

// cancel notes that calls are not worth a move any more: seq, or all accepted ones for 0.
func (r *redo) cancel(seq, accepted uint32) {
	if seq == 0 {
		seq = accepted
	}
	r.stopped = max(r.stopped, seq)
}

// outcome corrects what a worker says of a call that another one may have run before.
func (r *redo) outcome(head wire.Header) uint32 {
	if head.Type == wire.Error && head.Seq <= r.ran && wire.Outcome(head.Arg) == wire.NeverStarted {
		return uint32(wire.Unknown)
	}
	return head.Arg
}

// left returns the session that a message is of, if the hit has left that.
func (r *redo) left(m *wire.Message) *past {
	for i := range r.past {
		if p := &r.past[i]; p.worker.Peer == m.From && p.epoch == m.Header.Epoch {
			return p
		}
	}
	return nil
}

// redoCall keeps a call that was accepted.
func (h *Hit) redoCall(now time.Duration, m *wire.Message) {
	r, l := h.redo, h.names.limits
	switch {
	case r.pinned:
	case !m.Header.Flags.Has(wire.Idempotent) && h.State != Moving:
		h.pin()
	case m.Header.Flags.Has(wire.More) || !r.fits(l, m.Size):
		r.calls = append(r.calls, nil)
		r.missing++
	default:
		c := m.Copy()
		c.At = now
		r.calls = append(r.calls, c)
		r.take(l, c.Size)
	}
}

// pin leaves the hit where it is for good. What is known of earlier workers is kept.
func (h *Hit) pin() {
	h.redo.drop(h.names.limits)
	h.redo.pinned = true
	if h.redo.moves == 0 {
		h.redo = nil
	}
}

// ran returns up to which call earlier workers may have run them.
func (h *Hit) ran() uint32 {
	if h.redo == nil {
		return 0
	}
	return h.redo.ran
}

// movable reports whether another worker can take the hit up, without its client noticing more than the time.
func (h *Hit) movable() bool {
	r := h.redo
	switch {
	case r == nil || r.pinned || r.missing > 0 || r.moves >= h.names.limits.moves || r.stopped > h.Answered:
		return false
	case h.Client == 0 && h.task() == nil && !h.adrift():
		return false // nobody wants it
	case h.flow != nil && h.flow.down.on:
		return false // its client has half a reply
	case h.State == Closing:
		return h.reason == wire.OK && h.Accepted != h.Answered
	}
	return h.State == Opening || h.State == Open
}

// gaveBack reports whether a worker's word is that another one is to have the hit.
func (h *Hit) gaveBack(m *wire.Message) bool {
	if h.redo == nil || m.Header.Type == wire.Error && wire.Outcome(m.Header.Arg) != wire.NeverStarted {
		return false
	}
	s := m.Header.Status
	return s == wire.SlotTaken || s == wire.Draining || s == wire.IsStuck
}

// giveBack makes the hit leave a worker that does not want it.
func (h *Hit) giveBack(m *wire.Message, fx []Effect) []Effect {
	y := Why{Detector: "worker", Measured: fmt.Sprintf("%s gave the hit back: %v: %s", h.names.Worker, m.Header.Status, m.Frame(0))}
	return h.leave(&Leaves{Hit: h, Why: y, Status: m.Header.Status, Ended: true}, fx)
}

// leave takes the hit from its worker. Nothing more is sent to that one, and nothing it says is passed on.
func (h *Hit) leave(e *Leaves, fx []Effect) []Effect {
	r := h.redo
	if e.Behind {
		r.past = append(r.past, past{worker: h.worker, behind: behind{h.Assignment, h.OneShot}})
	}
	if fresh := h.State == Opening || r.opening; !e.Unsent && (!fresh || !e.Ended || e.Status == wire.IsStuck) {
		r.ran = max(r.ran, h.Accepted)
	}
	r.told, r.closing, r.opening = h.State != Opening, h.State == Closing, false
	r.moves++
	r.status, r.why = e.Status, e.Why
	h.State, h.Worker = Moving, 0
	return append(fx, Effect{Kind: Report, Event: e})
}

// staleWord drops what a worker says of a session that the hit has left. Its end frees a slot.
func (h *Hit) staleWord(m *wire.Message, fx []Effect) []Effect {
	p := h.redo.left(m)
	if !p.over && endsSession(m) {
		p.over = true
		fx = append(fx, Effect{Kind: Report, Event: &Orphaned{p.worker, h.Handle}})
	}
	return p.remains(m, fx)
}

// endsSession reports whether a worker says that it has a session no more.
func endsSession(m *wire.Message) bool {
	return m.Header.Type == wire.Ended || m.Header.Flags.Has(wire.Last) || m.Header.Type == wire.Error && m.Header.Seq == 0
}

// remains takes what a worker says of a session that its hit has left: it is dropped and counted. Who answers without ending is told to end.
func (l behind) remains(m *wire.Message, fx []Effect) []Effect {
	if t := m.Header.Type; l.untold && (t == wire.Reply || t == wire.Error) && !endsSession(m) {
		fx = append(fx, send(m.From, wire.Header{Type: wire.End, Hit: m.Header.Hit, Epoch: m.Header.Epoch}))
	}
	return append(fx, Effect{Kind: Count, Status: wire.StaleEpoch})
}
