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
}

// orphan ends a slot whose connection is gone: what runs is cancelled, and the session is closed on its thread when that comes back. It
// runs on the loop.
func (s *slot) orphan() {
	s.cancel(0, s.worker.link.loop.Now()+time.Hour)
	s.stop()
	w := s.worker
	w.mu.Lock()
	s.orphaned = true
	pid := s.pid
	if w.orphans == nil {
		w.orphans = make(map[*slot]bool)
	}
	w.orphans[s] = true
	w.mu.Unlock()
	if pid != nil {
		w.link.system.Root.Send(pid, &orphanage{})
	}
}

// release frees a slot after its actor has stopped, and lets its thread go.
func (w *Worker) release(s *slot) {
	s.stop()
	w.mu.Lock()
	w.busy--
	current := w.slots[s.handle] == s
	if current {
		delete(w.slots, s.handle)
	}
	delete(w.orphans, s)
	tell := s.counted
	if w.busy == 0 && w.draining {
		w.idled()
	}
	w.mu.Unlock()
	sender := w.link.ep.Sender()
	if tell != 0 {
		_ = sender.SendOn(tell, &wire.Header{Type: wire.Ended})
	}
	if current {
		w.link.loop.Do(func() { w.unbind(s) })
	}
	if s.thread != nil {
		w.threads.give(s.thread, s.service.KeepThread)
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
