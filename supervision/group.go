package supervision

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/supervision/restart"
)

// part is what a child has to do with the restart of several children.
type part uint8

const (
	none      part = iota
	leaving        // to be stopped, or being stopped
	returning      // to be started again in its turn
	held           // it ended while the others were being started: what follows is decided then
)

// planFor asks what follows from the end of c. The plan's numbers are indices
// into s.order.
func (s *supervisor) planFor(c *child, class restart.Class) restart.Plan {
	if s.spec.Strategy == OneForOne && !c.spec.Significant { // the usual case looks at nobody else
		return restart.Plan{Again: restart.Decide(c.spec.Restart, class)}
	}
	children, at := make([]restart.Child, len(s.order)), 0
	for i, other := range s.order {
		children[i] = restart.Child{Type: other.spec.Restart, Significant: other.spec.Significant}
		if other == c {
			at = i
		}
	}
	return restart.Make(s.spec.Strategy, s.spec.AutoShutdown, children, at, class)
}

// regroup begins to stop and start again whom the plan names, not before due.
// A restart that is under way already grows by them.
func (s *supervisor) regroup(ctx actor.Context, plan restart.Plan, due time.Time) {
	s.phase = regrouping
	if due.After(s.due) {
		s.due = due
	}
	for _, i := range plan.Stop {
		if c := s.order[i]; c.part == none && c.guard != nil {
			c.part = leaving
		}
	}
	for _, i := range plan.Start {
		if c := s.order[i]; c.guard == nil {
			c.part = returning
		}
	}
	s.assemble(ctx)
}

// assemble makes the next step of a restart of several children: small
// temporary children, the youngest of all, are stopped together, then the
// siblings from right to left; then all are started from left to right, each
// after the one before it has reported its start.
func (s *supervisor) assemble(ctx actor.Context) {
	if s.phase != regrouping {
		return
	}
	if len(s.temps) > 0 {
		s.stopSwarm(ctx)
		return
	}
	s.swarmBy = time.Time{}
	for i := len(s.order) - 1; i >= 0; i-- {
		if c := s.order[i]; c.part == leaving {
			if s.stops[c.spec.ID] == nil {
				s.orderStop(ctx, c)
			}
			return
		}
	}
	if s.pause = s.due.After(s.spec.Clock.Now()); s.pause {
		return
	}
	for _, c := range s.order {
		if c.state == StateStarting {
			return
		}
		if c.part == returning {
			c.part = none
			s.launch(ctx, c)
			return
		}
	}
	s.due = time.Time{}
	s.open(ctx)
}

// left takes note that a member of the group has ended, in whatever way: it
// was to be stopped. Only who was asked to stop by hand meanwhile stays away.
func (s *supervisor) left(ctx actor.Context, c *child, pid *actor.PID, reason Reason) {
	delete(s.stops, c.spec.ID)
	if c.spec.Restart == Temporary {
		s.drop(ctx, c, pid, reason)
	} else {
		c.state, c.part = StateWaiting, returning
		c.restarts++
		s.tellExited(ctx, Exited{ID: c.spec.ID, PID: pid, Reason: reason, Restarting: true})
	}
	s.assemble(ctx)
}

// open makes the supervisor run, and does what had to wait for that.
func (s *supervisor) open(ctx actor.Context) {
	s.phase = running
	early := s.early
	s.early = nil
	for _, do := range early { // one may begin another restart: the others then wait again
		if s.phase == regrouping {
			s.early = append(s.early, do)
			continue
		}
		do(ctx)
	}
}
