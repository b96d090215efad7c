package supervision

import (
	"sort"

	"github.com/asynkron/protoactor-go/actor"
)

// Status is what a supervisor knows of one of its children at one moment.
type Status struct {
	ID       string
	PID      *actor.PID // nil while waiting for a restart
	Restart  Restart
	State    State
	Restarts int
	Last     Reason // why the incarnation before the present one ended, or nil
	// Supervisor says that the child is itself a supervisor of this package,
	// and Children are then its own. A Listing leaves Children empty: only
	// Tree.List goes down.
	Supervisor bool
	Children   []Status

	port *port
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
				st.Supervisor, st.port = true, nested.port
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
	return &Listing{Children: out}
}
