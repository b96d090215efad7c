package supervision

import (
	"runtime"
	"sort"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Status is what a supervisor knows of one of its children at one moment.
type Status struct {
	ID       string
	Path     string     // the PID's name; while there is no PID, what it begins with
	PID      *actor.PID // nil while waiting for a restart
	Restart  Restart
	State    State
	Restarts int
	Last     Reason // why the incarnation before the present one ended, or nil

	// Mailbox is how many messages wait, Message the type of the one that the
	// actor is handling, "" if it is idle, and For since when. Without
	// Spec.Stamps, and for actors whose mailbox writes no stamps, Mailbox is -1.
	Mailbox int
	Message string
	For     time.Duration

	// Supervisor says that the child is itself a supervisor of this package,
	// and Children are then its own. A Listing leaves Children empty: only
	// Tree.List goes down.
	Supervisor bool
	Children   []Status
	// Late says that this supervisor did not answer in time, because it hangs
	// or what it shares its dispatcher with does. What is said of it and of its
	// children was then read past it; it has no Children if it hangs itself.
	Late bool

	sup *supervisor
}

// list returns the children in start order, small temporary ones last and by
// their ID.
func (s *supervisor) list() *Listing {
	out := make([]Status, 0, len(s.order)+len(s.temps))
	for _, c := range s.order {
		st := Status{
			ID: c.spec.ID, PID: c.pid(), Restart: c.spec.Restart, State: c.state,
			Restarts: c.restarts, Last: c.last,
		}
		if c.guard != nil {
			if nested, ok := c.guard.inner.(*supervisor); ok {
				st.Supervisor, st.sup = true, nested
			}
		}
		out = append(out, st)
	}
	for id, g := range s.temps {
		st := Status{ID: id, PID: g.pid, Restart: Temporary, State: StateRunning}
		if s.acks[id] != nil {
			st.State = StateStarting
		}
		if s.stops[id] != nil || !s.swarmBy.IsZero() {
			st.State = StateStopping
		}
		out = append(out, st)
	}
	temps := out[len(s.order):]
	sort.Slice(temps, func(i, j int) bool { return temps[i].ID < temps[j].ID })
	for i := range out {
		s.stamp(&out[i])
	}
	return &Listing{Children: out}
}

// stamp fills in what the mailbox knows.
func (s *supervisor) stamp(st *Status) {
	st.Path, st.Mailbox = s.prefix+st.ID, -1
	if st.PID != nil {
		st.Path = st.PID.Id
	}
	if m, ok := s.stampOf(st.PID); ok {
		st.Mailbox, st.Message, st.For = m.Waiting, m.Message, m.For
	}
}

// peek lists the children past the supervisor's own goroutine, which does not
// answer. It cannot while the supervisor is in a handler.
func (s *supervisor) peek() []Status {
	for range 100 {
		if s.mu.TryLock() {
			defer s.mu.Unlock()
			return s.list().Children
		}
		runtime.Gosched() // it may be in the middle of something short
	}
	return nil
}
