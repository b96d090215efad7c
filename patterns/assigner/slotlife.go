package assigner

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// bind makes calls of a hit go to its slot. It runs on the loop.
func (e *enrolment) bind(s *slot, pid *actor.PID) {
	w := e.worker
	e.bound++
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.slots[s.handle] == s {
		e.link.ep.Sender().Bind(s.handle, pid)
	}
	s.seated(pid)
}

// seated says who serves the slot, and hands over what has come for it already. The worker's lock is held.
func (s *slot) seated(pid *actor.PID) {
	s.pid = pid
	root := s.worker.hub.system.Root
	if s.orphaned {
		root.Send(pid, &orphanage{s})
	}
	for _, m := range s.early {
		root.Send(pid, m)
	}
	s.early = nil
}

// forward hands a message to the slot that serves its hit, if there is one: a broker may say END, and the calls of a hit that has moved,
// right behind BEGIN, before the slot is bound. It runs on the loop.
func (e *enrolment) forward(m *wire.Message) bool {
	w := e.worker
	w.mu.Lock()
	defer w.mu.Unlock()
	s := e.slots[m.Header.Hit]
	switch {
	case s == nil || s.epoch != m.Header.Epoch:
		return false
	case s.pid == nil:
		s.early = append(s.early, m.Copy())
	default:
		w.hub.system.Root.Send(s.pid, m.Copy())
	}
	return true
}

// stream hands PART and CREDIT to the slot that they are for. It runs on the loop.
func (e *enrolment) stream(m *wire.Message) {
	e.worker.mu.Lock()
	s := e.slots[m.Header.Hit]
	e.worker.mu.Unlock()
	switch {
	case s == nil || s.epoch != m.Header.Epoch: // the hit is over
	case m.Header.Type == wire.Part:
		_ = s.part(m) // what is wrong with it was told by the broker
	default:
		s.credited(m)
	}
}

// disown takes the hits of a connection that is gone, which are orphans from here on. It runs on the loop.
func (e *enrolment) disown() map[uint64]*slot {
	e.worker.mu.Lock()
	defer e.worker.mu.Unlock()
	old := e.slots
	e.told.on = false
	e.slots = make(map[uint64]*slot)
	for _, s := range old {
		s.orphaned = true
		e.orphans[s] = true
	}
	return old
}

// orphan ends an orphan: what runs is cancelled, and the session is closed on its thread when that comes back. It runs on the loop.
func (s *slot) orphan() {
	s.cancel(0, s.worker.hub.loop.Now()+time.Hour)
	s.stop()
	s.asked()
	w := s.worker
	w.mu.Lock()
	pid := s.pid
	w.mu.Unlock()
	if pid != nil {
		w.hub.system.Root.Send(pid, &orphanage{s})
	}
}

// vacate frees a slot whose session is closed, or written off, and then says the hit's last word. It does nothing the second time but to say that, and reports
// it. A hand's slots end there: what the broker says to one from then on is answered behind its last word, which is therefore said under the lock.
func (w *Worker) vacate(s *slot, say func()) bool {
	s.stop()
	w.mu.Lock()
	if s.hand == nil {
		defer say()
	}
	if s.vacated {
		w.mu.Unlock()
		return false
	}
	s.vacated = true
	w.slots.Give(time.Since(w.hub.zero))
	if s.from.slots[s.handle] == s {
		delete(s.from.slots, s.handle)
	}
	delete(s.from.orphans, s)
	tell := s.counted
	w.changed()
	if w.slots.Used() == 0 && w.draining {
		w.idled()
	}
	if s.hand != nil {
		say()
		if s.from.next != "" {
			w.hub.loop.Do(s.from.gone)
		}
	}
	w.mu.Unlock()
	if tell != 0 {
		s.from.sendOn(tell, &wire.Header{Type: wire.Ended})
	}
	return true
}

// release lets a slot's thread go after its actor has stopped. Until then the actor hears what is still said to the hit: nobody else may answer an
// END that crosses its own last word.
func (w *Worker) release(s *slot) {
	w.vacate(s, nothing)
	s.dropStreams()
	w.hub.loop.Do(func() { s.from.unbind(s) })
	if s.thread != nil {
		w.threads.give(s.thread, s.service.KeepThread && !s.spoilt && !s.written.Load())
	}
	s.cameBack()
}

// idled tells who waits in Drain. The lock is held.
func (w *Worker) idled() {
	select {
	case <-w.idle:
	default:
		close(w.idle)
	}
}

// nothing is the last word of what has said it.
func nothing() {}

// unbind takes the end of a slot's own actor. It runs on the loop.
func (e *enrolment) unbind(s *slot) {
	if s.hand != nil {
		return
	}
	if s.direct != nil {
		e.worker.front.over(s.direct)
	}
	e.bound--
	e.worker.mu.Lock()
	defer e.worker.mu.Unlock()
	if _, taken := e.slots[s.handle]; !taken {
		e.link.ep.Sender().Unbind(s.handle)
	}
	e.moveOn()
}

// gone has the worker move on, if that was the last hit. It runs on the loop.
func (e *enrolment) gone() {
	e.worker.mu.Lock()
	defer e.worker.mu.Unlock()
	e.moveOn()
}
