package assigner

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// bind makes calls of a hit go to its slot. It runs on the loop.
func (w *Worker) bind(s *slot, pid *actor.PID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.pid = pid
	if w.slots[s.handle] == s {
		w.link.ep.Sender().Bind(s.handle, pid)
	} else if s.orphaned {
		w.link.system.Root.Send(pid, &orphanage{})
	}
	for _, m := range s.early {
		w.link.system.Root.Send(pid, m)
	}
	s.early = nil
}

// forward hands a message to the slot that serves its hit, if there is one: a broker may say END right behind BEGIN, before the slot is
// bound. It runs on the loop.
func (w *Worker) forward(m *wire.Message) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.slots[m.Header.Hit]
	switch {
	case s == nil || s.epoch != m.Header.Epoch:
		return false
	case s.pid == nil:
		s.early = append(s.early, m.Copy())
	default:
		w.link.system.Root.Send(s.pid, m.Copy())
	}
	return true
}

// disown takes the hits of a connection that is gone, which are orphans from here on. It runs on the loop.
func (w *Worker) disown() map[uint64]*slot {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.slots
	w.slots = make(map[uint64]*slot)
	if w.orphans == nil {
		w.orphans = make(map[*slot]bool)
	}
	for _, s := range old {
		s.orphaned = true
		w.orphans[s] = true
	}
	return old
}

// orphan ends an orphan: what runs is cancelled, and the session is closed on its thread when that comes back. It runs on the loop.
func (s *slot) orphan() {
	s.cancel(0, s.worker.link.loop.Now()+time.Hour)
	s.stop()
	w := s.worker
	w.mu.Lock()
	pid := s.pid
	w.mu.Unlock()
	if pid != nil {
		w.link.system.Root.Send(pid, &orphanage{})
	}
}

// vacate frees a slot whose session is closed. It does nothing the second time.
func (w *Worker) vacate(s *slot) {
	s.stop()
	w.mu.Lock()
	if s.vacated {
		w.mu.Unlock()
		return
	}
	s.vacated = true
	w.busy--
	if w.slots[s.handle] == s {
		delete(w.slots, s.handle)
	}
	delete(w.orphans, s)
	tell := s.counted
	if w.busy == 0 && w.draining {
		w.idled()
	}
	w.mu.Unlock()
	if tell != 0 {
		_ = w.link.ep.Sender().SendOn(tell, &wire.Header{Type: wire.Ended})
	}
}

// release lets a slot's thread go after its actor has stopped. Until then the actor hears what is still said to the hit: nobody else may answer an
// END that crosses its own last word.
func (w *Worker) release(s *slot) {
	w.vacate(s)
	w.link.loop.Do(func() { w.unbind(s) })
	if s.thread != nil {
		w.threads.give(s.thread, s.service.KeepThread && !s.spoilt)
	}
}

// idled tells who waits in Drain. The lock is held.
func (w *Worker) idled() {
	select {
	case <-w.idle:
	default:
		close(w.idle)
	}
}

func (w *Worker) unbind(s *slot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, taken := w.slots[s.handle]; !taken {
		w.link.ep.Sender().Unbind(s.handle)
	}
}
