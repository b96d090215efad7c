package assigner

import (
	"fmt"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner/machine"
	"github.com/troupe-mq/troupe/supervision"
)

// exits is the actor, on the loop, that looks after sessions that were asked to end. One whose thread does not come back in time is written off: its
// slot is free for another thread, and what the old one holds is held until it returns, if it ever does.
type exits struct {
	worker *Worker
	self   *actor.PID
	timer  *bridge.Timer // nil until the worker has its loop
	set    time.Duration // what it is set to, 0: not
	due    map[*slot]time.Duration
}

// exitDue wakes exits.
type exitDue struct{}

const exitsChild = "exits"

func newExits(w *Worker) *exits { return &exits{worker: w, due: make(map[*slot]time.Duration)} }

// Receive is the engine's.
func (x *exits) Receive(ctx actor.Context) {
	switch ctx.Message().(type) {
	case *actor.Started:
		x.self = ctx.Self()
	case *exitDue:
		x.tick()
	case *actor.Stopping:
		if x.timer != nil {
			x.timer.Stop()
		}
	}
}

// begin makes the timer. It runs on the loop.
func (x *exits) begin() error {
	x.timer = x.worker.hub.loop.NewTimer(x.self, &exitDue{})
	return nil
}

// look looks after a session from now on. It runs on the loop.
func (x *exits) look(s *slot) {
	if x.timer == nil || x.worker.cfg.WriteOff < 0 || x.due[s] != 0 {
		return
	}
	x.wait(s, x.worker.hub.loop.Now()+x.worker.cfg.WriteOff)
}

func (x *exits) wait(s *slot, at time.Duration) {
	x.due[s] = at
	if x.set == 0 || at < x.set {
		x.set = at
		x.timer.Set(at)
	}
}

// tick judges those whose time has come.
func (x *exits) tick() {
	now, w := x.worker.hub.loop.Now(), x.worker
	x.set = 0
	for s, at := range x.due {
		if at > now {
			x.wait(s, at)
			continue
		}
		delete(x.due, s)
		w.mu.Lock()
		gone := s.vacated
		w.mu.Unlock()
		if gone {
			continue
		}
		state := s.leaving()
		next, over := state.Next(now, w.cfg.WriteOff)
		switch {
		case over:
			w.writeOff(s, state, now)
		case next > 0:
			x.wait(s, next)
		}
	}
}

// leaving is what is known of the session's way out. It may be called from any goroutine.
func (s *slot) leaving() machine.Leaving {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := machine.Leaving{Ends: s.ends || s.oneshot || s.final && s.running != 0, Stopped: s.stopped, Closing: s.closing, Promised: s.promised}
	switch {
	case s.closing != 0:
		l.Inside = machine.Closing
	case s.running != 0:
		l.Inside = machine.Calling
	case s.current != nil:
		l.Inside = machine.Opening
	}
	return l
}

// asked notes that the session was told to end, by END or because its connection is gone. It runs on the loop.
func (s *slot) asked() {
	s.mu.Lock()
	s.ends = true
	s.mu.Unlock()
	s.worker.exits.look(s)
}

// ends notes END as it comes: the slot's mailbox, where it goes, may be blocked by the very call that does not return. It runs on the loop.
func (e *enrolment) ends(m *wire.Message) {
	e.worker.mu.Lock()
	s := e.slots[m.Header.Hit]
	e.worker.mu.Unlock()
	if s != nil && s.epoch == m.Header.Epoch {
		s.asked()
	}
}

// writeOff gives up the thread of a session that does not come back: it is named, counted, and fenced, and its slot is another thread's. It runs on the loop.
func (w *Worker) writeOff(s *slot, state machine.Leaving, now time.Duration) {
	if !w.vacate(s, nothing) {
		return // it has come back just now
	}
	s.written.Store(true)
	if s.calling.Swap(false) {
		w.ran()
	}
	w.threads.writeOff(s.thread)
	w.wroteOff.Add(1)
	h := supervision.Hung{
		Path: "hit " + strconv.FormatUint(s.handle, 16) + " of service " + s.name, Message: places[state.Inside],
		After: now - max(state.Stopped, state.Closing), Limit: w.cfg.WriteOff, Stack: supervision.StackOf("assigner.(*slot).protect", s),
	}
	s.lastWords(h)
	s.from.unbind(s)
	w.hub.system.Root.Send(w.sessions, &supervision.Abandon{ID: s.id, Reason: h})
	w.hub.logger.Error("the thread of a session is written off, its slot is free for another one", "path", h.Path, "thread", s.tid.Load(), "zombies", w.zombies.Add(1))
	w.tellZombies()
	w.hub.sentry.Report(h)
	returned := w.hub.sentry.Abandoned(h.Path)
	s.mu.Lock()
	s.returned = returned
	back := s.back
	s.mu.Unlock()
	if back {
		s.cameBack()
	}
}

var places = [...]string{machine.Between: "nothing", machine.Opening: "its opening", machine.Calling: "a call", machine.Closing: "its closing"}

// lastWords says what the session itself cannot say any more.
func (s *slot) lastWords(h supervision.Hung) {
	text := fmt.Sprintf("%s did not come back within %v of being asked to: its thread was written off", h.Message, h.After.Round(time.Millisecond))
	s.mu.Lock()
	begun := s.admitted
	s.mu.Unlock()
	head := wire.Header{Type: wire.Ended, Status: wire.IsStuck, Arg: begun, Hit: s.handle, Epoch: s.epoch}
	switch {
	case s.oneshot:
		head = wire.Header{Type: wire.Error, Flags: wire.Last, Status: wire.IsStuck, Hit: s.handle, Epoch: s.epoch, Seq: 1, Arg: uint32(wire.Unknown)}
	case s.direct != nil:
		s.direct.farewell(wire.IsStuck, text+": open another hit")
		s.direct.severed.Store(true)
	}
	s.from.sendOn(s.peer, &head, []byte(text))
}

// cameBack takes a session off the zombies that has ended after all: all it held was released on its thread. It may be called from any goroutine.
func (s *slot) cameBack() {
	s.mu.Lock()
	returned := s.returned
	s.back, s.returned = true, nil
	s.mu.Unlock()
	if returned == nil {
		return
	}
	w := s.worker
	w.zombies.Add(-1)
	w.hub.loop.Do(w.tellZombies)
	returned()
}

// tellZombies tells the brokers how many threads are written off. It runs on the loop.
func (w *Worker) tellZombies() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.brokers {
		if e.told.on {
			e.sayChanged(e.told.slots, e.told.most)
		}
	}
}

// sayChanged tells the broker what the worker has. The lock is held.
func (e *enrolment) sayChanged(slots, most int) {
	e.sendOn(e.peer, &wire.Header{Type: wire.Changed}, wire.JSON(e.change(slots, most)))
}

// change is what CHANGED says of the worker's slots.
func (e *enrolment) change(slots, most int) wire.ChangedInfo {
	info := wire.ChangedInfo{Slots: max(slots, 0), Zombies: int(e.worker.zombies.Load())}
	if e.worker.keeper != nil {
		info.SlotsMax = &most
	}
	return info
}
