package assigner

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge"
)

// slotKeeper is the actor, on the loop, that retires idle slots and tells brokers how many slots are left to them. A worker has one if its
// slots grow, or if several brokers share them; all that it looks at is under the worker's lock.
type slotKeeper struct {
	worker       *Worker
	self         *actor.PID
	retire, tell *bridge.Timer // nil until the worker has its loop
	due          bool          // brokers are to be told
	posted       bool          // the timers are about to be set
}

type (
	retireDue struct{}
	tellDue   struct{}
)

// tellAfter is how long changes are gathered before a broker is told; a hit that it gives to a slot that is taken meanwhile is opened again.
const tellAfter = 2 * time.Millisecond

// Receive is the engine's.
func (k *slotKeeper) Receive(ctx actor.Context) {
	w := k.worker
	switch ctx.Message().(type) {
	case *actor.Started:
		k.self = ctx.Self()
	case *retireDue:
		w.retire()
	case *tellDue:
		w.tell()
	case *actor.Stopping:
		if k.retire != nil {
			k.retire.Stop()
			k.tell.Stop()
		}
	}
}

// begin makes the timers: the actor has started before the worker has its hub. It runs on the loop.
func (k *slotKeeper) begin() error {
	loop := k.worker.hub.loop
	k.retire, k.tell = loop.NewTimer(k.self, &retireDue{}), loop.NewTimer(k.self, &tellDue{})
	return nil
}

// share is what a broker knows about the worker's slots, since READY on the present connection.
type share struct {
	on          bool
	slots, most int
}

// own returns how many slots the broker's hits have. The lock is held.
func (e *enrolment) own() int { return len(e.slots) + len(e.orphans) }

// introduce decides what READY says. The most that can ever be stands there; what can be at present follows by CHANGED. The lock is held.
func (e *enrolment) introduce() {
	w := e.worker
	slots, _ := w.slots.Share(e.own())
	e.told = share{on: true, slots: slots}
	if w.keeper != nil {
		e.told.most = w.cfg.MaxSlots
	}
}

// changed has the timers set, and brokers told, after a slot was taken or given back. The lock is held.
func (w *Worker) changed() {
	k := w.keeper
	if k == nil || k.posted {
		return
	}
	k.posted = true
	w.hub.loop.Do(k.arm)
}

// arm sets the timers. It runs on the loop.
func (k *slotKeeper) arm() {
	w := k.worker
	w.mu.Lock()
	k.posted = false
	tell := !k.due && w.untold()
	k.due = k.due || tell
	at := w.slots.Deadline()
	w.mu.Unlock()
	if k.retire == nil {
		return // the tree has not begun yet, or has ended
	}
	if tell {
		k.tell.Set(w.hub.loop.Now() + tellAfter)
	}
	if at > 0 {
		k.retire.Set(at)
	} else {
		k.retire.Stop()
	}
}

// untold reports whether a broker knows less than there is to know. The lock is held.
func (w *Worker) untold() bool {
	for _, e := range w.brokers {
		if slots, most := w.slots.Share(e.own()); e.told.on && (slots != e.told.slots || most != e.told.most) {
			return true
		}
	}
	return false
}

// tell says CHANGED to the brokers that do not know. It runs on the loop.
func (w *Worker) tell() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keeper.due = false
	for _, e := range w.brokers {
		slots, most := w.slots.Share(e.own())
		if !e.told.on || (slots == e.told.slots && most == e.told.most) {
			continue
		}
		e.told.slots, e.told.most = slots, most
		e.sayChanged(slots, most)
	}
}

// retire gives up slots that have been idle for long, and threads that were kept for them. It runs on the loop.
func (w *Worker) retire() {
	w.mu.Lock()
	n := w.slots.Tick(w.hub.loop.Now())
	size, free := w.slots.Size(), w.slots.Size()-w.slots.Used()
	w.changed()
	w.mu.Unlock()
	if n > 0 {
		w.threads.trim(free)
		w.hub.logger.Info("idle slots were retired", "retired", n, "slots", size)
	}
}

// WorkerStats says what a worker's slots are doing, and have done since its start.
type WorkerStats struct {
	Slots, Used, Min, Max int
	Grown                 uint64 // slots made because hits found none free
	Retired               uint64 // slots given up because they were idle
	Refused               uint64 // hits that came too late for a slot: brokers open them again
	WrittenOff            uint64 // threads of sessions that did not come back when they were asked to end: their slots got new ones
	Zombies               int    // how many of them have not come back yet
}

// Stats returns what the worker's slots are doing.
func (w *Worker) Stats() WorkerStats {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.slots
	return WorkerStats{Slots: s.Size(), Used: s.Used(), Min: s.Min, Max: s.Max, Grown: s.Grown, Retired: s.Retired, Refused: s.Refused, WrittenOff: w.wroteOff.Load(), Zombies: int(w.zombies.Load())}
}
