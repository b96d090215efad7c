package machine

import (
	"fmt"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/actors/prio"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// movers are the hits that wait for another worker: the first to be given up first, and by service in order of coming.
type movers struct {
	prio.Queue[*Hit]
	byService map[string][]*Hit
	order     uint64
}

func newMovers() movers {
	return movers{Queue: prio.New(func(a, b *Hit) bool {
		if a.redo.until != b.redo.until {
			return a.redo.until < b.redo.until
		}
		return a.redo.order < b.redo.order
	}, func(h *Hit) *int { return &h.redo.index }), byService: make(map[string][]*Hit)}
}

func (m *movers) add(h *Hit, until time.Duration) {
	m.order++
	h.redo.order, h.redo.until = m.order, until
	m.Fix(h)
	m.byService[h.names.Service] = append(m.byService[h.names.Service], h)
}

// remove takes a hit out; one that does not wait is left alone.
func (m *movers) remove(h *Hit) {
	if h.redo == nil || h.redo.index < 0 {
		return
	}
	m.Remove(h)
	all := m.byService[h.names.Service]
	if i := slices.Index(all, h); i == 0 {
		all[0] = nil
		all = all[1:]
	} else {
		all = slices.Delete(all, i, i+1)
	}
	if m.byService[h.names.Service] = all; len(all) == 0 {
		delete(m.byService, h.names.Service)
	}
}

// first returns the hit that waits longest for a worker like this one, nil if none does.
func (m *movers) first(w *Worker) *Hit {
	if m.Len() == 0 || len(w.services) == 0 {
		return nil // nobody moves, or it takes no new hits
	}
	var next *Hit
	for name := range w.names {
		for _, h := range m.byService[name] {
			if w.behind[h.Handle].epoch == 0 {
				if next == nil || h.redo.order < next.redo.order {
					next = h
				}
				break
			}
		}
	}
	return next
}

// leaves takes a hit from its worker, and finds it another one, or lets it wait for one.
func (b *Broker) leaves(now time.Duration, e *Leaves, fx []Effect) []Effect {
	h := e.Hit
	if b.byHandle[h.Handle] != h {
		return fx
	}
	w := h.worker
	if e.Status == wire.SlotTaken {
		b.slotTaken(h, w)
	}
	w.hits.remove(h)
	h.worker = &b.limbo
	b.limbo.hits.add(h)
	if h.State != Ended {
		b.moves.add(h, b.patience(now, h))
	}
	switch {
	case b.workers[w.Peer] != w: // it is lost
	case e.Behind:
		if w.behind == nil {
			w.behind = make(map[uint64]behind)
		}
		w.behind[h.Handle] = behind{h.Assignment, h.OneShot}
	case e.Unsent:
		fx = b.deaf(now, w, e.Status, fx)
	default:
		fx = b.slotFree(now, w, fx)
	}
	if h.redo.index < 0 {
		return fx // it has found one
	}
	if to, ok := b.elsewhere(h); ok {
		return b.settle(now, h, to, fx)
	}
	return fx
}

// patience is until when a hit may wait for another worker: not beyond the deadline of the call that is to be answered.
func (b *Broker) patience(now time.Duration, h *Hit) time.Duration {
	until := now + b.cfg.MaxWait
	if r := h.redo; len(r.calls) > 0 {
		if ms := left(now, r.calls[0]); ms > 0 {
			until = min(until, now+time.Duration(ms)*time.Millisecond)
		}
	}
	return until
}

// elsewhere chooses a worker for a hit that moves: none that still has a session of it.
func (b *Broker) elsewhere(h *Hit) (*Worker, bool) {
	s := b.services[h.names.Service]
	if s == nil {
		return nil, false
	}
	var shut []*Worker
	for _, p := range h.redo.past {
		if w := p.worker; !w.Load.Closed && w.behind[h.Handle].epoch != 0 {
			w.Load.Closed = true
			w.fix()
			shut = append(shut, w)
		}
	}
	w, ok := b.slotFor(s)
	for _, x := range shut {
		x.Load.Closed = false
		x.fix()
	}
	return w, ok
}

// settle gives a hit that moves to a worker.
func (b *Broker) settle(now time.Duration, h *Hit, w *Worker, fx []Effect) []Effect {
	b.moves.remove(h)
	b.limbo.hits.remove(h)
	h.worker, h.changes = w, w.changes
	w.hits.add(h)
	b.totals.Moved++
	if y := h.redo.why; y.Verdict != "" {
		y.AtMS, y.Done = now.Milliseconds(), fmt.Sprintf("moved to %s (move %d of %d)", w.Name, h.redo.moves, b.cfg.MaxMoves)
		fx = append(b.record(y, fx), Effect{Kind: Note, Event: &y})
	}
	return append(fx, Effect{Kind: Tell, Hit: h, Event: &Moved{Worker: w.Peer, Names: w.names[h.names.Service], Epoch: b.occupy(w)}})
}

// giveUpMoves ends the hits that nobody has taken up in time.
func (b *Broker) giveUpMoves(now time.Duration, fx []Effect) []Effect {
	for b.moves.Len() > 0 && b.moves.First().redo.until <= now {
		h := b.moves.First()
		b.moves.remove(h)
		b.totals.Unmoved++
		fx = append(fx, Effect{Kind: Tell, Hit: h, Event: &Unmoved{}})
	}
	return fx
}

// forgetMove gives back what was kept of a hit that is over.
func (b *Broker) forgetMove(h *Hit) {
	if h.redo != nil {
		b.moves.remove(h)
		h.redo.drop(&b.limits)
	}
}

// crashedMoving takes the death of the actor of a hit that was moving: the worker that it was to go to was not told of it.
func (b *Broker) crashedMoving(now time.Duration, h *Hit, fx []Effect) []Effect {
	w := h.worker
	b.forget(now, h, wire.Internal)
	if w == &b.limbo {
		return fx
	}
	return b.slotFree(now, w, fx)
}
