package machine

import (
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// SlotsChanged is what a worker reports when it has said CHANGED.
type SlotsChanged struct {
	Worker *Worker
	Info   wire.ChangedInfo
}

// changed: the worker has more slots for this broker, or fewer: it grows and retires threads, and serves hits of other brokers, too.
func (w *Worker) changed(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	info, err := wire.ParseChanged(m.Frame(0))
	if err != nil {
		return refuse(fx, m, wire.BadFrame, "%v", err)
	}
	if n := len(info.Services); n > maxServices {
		return refuse(fx, m, wire.BadFrame, "CHANGED: services has %d names: at most %d are possible, start several workers", n, maxServices)
	}
	return append(fx, Effect{Kind: Report, Event: &SlotsChanged{w, info}})
}

// slotsChanged takes the worker's word. Hits that are open, or on their way to it, keep the slots they have been given.
func (b *Broker) slotsChanged(now time.Duration, e *SlotsChanged, fx []Effect) []Effect {
	w := e.Worker
	if n := w.Load.Slots - max(e.Info.Slots, w.Load.Used); n > 0 {
		b.totals.Retired += uint64(n)
	}
	w.told, w.most = e.Info.Slots, max(w.Info.SlotsMax, e.Info.Slots)
	if e.Info.SlotsMax != nil {
		w.most = *e.Info.SlotsMax
	}
	w.zombies = e.Info.Zombies
	w.changes++
	w.resize()
	w.fix()
	return b.serve(now, w, b.offersOther(now, e, fx))
}

// resize makes the load what the worker has said, but for slots that are still in use.
func (w *Worker) resize() {
	w.Load.Slots = max(w.told, w.Load.Used)
	w.Load.Max = max(w.most, w.Load.Slots)
}

// slotFor chooses the worker for the next hit of a service: one with a free slot, else one that can make another. Room says that there is none
// but that the queue is to be asked.
func (b *Broker) slotFor(s *service) (*Worker, bool) {
	if e, ok := s.workers.Choose(); ok {
		return e.Worker, true
	}
	e, ok := s.workers.Grow()
	if !ok {
		return nil, false
	}
	w := e.Worker
	w.told = w.Load.Slots + 1
	w.resize()
	b.totals.Grown++
	return w, true
}

// slotTaken: the slot that the hit was given is another broker's. The worker is full, until it says otherwise; if it has done so since the hit was
// given to it, that is newer.
func (b *Broker) slotTaken(h *Hit, w *Worker) {
	b.totals.Taken++
	if h.changes == w.changes {
		w.told, w.most = w.Load.Used-1, 0 // without this hit
	}
}
