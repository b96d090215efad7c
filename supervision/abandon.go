package supervision

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// abandon gives up a child that has not stopped in time: nobody reaches it by
// its PID any more, should it ever wake it finds a stop order, and protoactor
// forgets that it was a child, or this supervisor could never end.
//
// This is only sound because names are unique: a zombie that wakes removes
// its name from the registry, whoever owns it by then.
func (s *supervisor) abandon(g *guard, after time.Duration) Reason {
	if g.fence != nil {
		g.fence.close(s.spec.Watchdog, g.pid.Id)
	}
	abandon(s.system, g.pid)
	s.proc.SendSystemMessage(s.self, &actor.Terminated{Who: g.pid})
	if nested, ok := g.inner.(*supervisor); ok {
		nested.port.close() // whoever asks it for something is told that it is gone
	}
	if s.phase >= closing {
		s.report.abandon(g.pid.Id) // else StopChild's answer says it
	}
	s.spec.Logger.Error("child did not stop and is abandoned: find what blocks its handler, or raise Shutdown",
		"supervisor", s.self.Id, "pid", g.pid.Id, "deadline", after)
	return Abandoned{After: after}
}

// giveUp abandons a child because somebody else has seen that it hangs.
func (s *supervisor) giveUp(ctx actor.Context, m *Abandon) {
	if g := s.temps[m.ID]; g != nil {
		_ = s.abandon(g, m.Reason.After)
		s.tempGone(ctx, m.ID, g, m.Reason)
		return
	}
	if c := s.children[m.ID]; c != nil && c.guard != nil && c.guard.pid != nil {
		_ = s.abandon(c.guard, m.Reason.After)
		s.gone(ctx, c, m.Reason)
	}
}

func abandon(system *actor.ActorSystem, pid *actor.PID) {
	zombie, ok := system.ProcessRegistry.Get(pid)
	system.ProcessRegistry.Remove(pid)
	if ok {
		zombie.SendSystemMessage(pid, &actor.Stop{})
	}
}

// overdue abandons every child whose deadline has passed at now.
func (s *supervisor) overdue(ctx actor.Context, now time.Time) {
	if !s.swarmBy.IsZero() && !now.Before(s.swarmBy) {
		for id, g := range s.temps {
			s.tempGone(ctx, id, g, s.abandon(g, s.spec.Shutdown))
		}
	}
	for id, order := range s.stops {
		if now.Before(order.by) {
			continue
		}
		if g := s.temps[id]; g != nil {
			s.tempGone(ctx, id, g, s.abandon(g, order.after))
		} else if c := s.children[id]; c != nil && c.guard != nil {
			s.gone(ctx, c, s.abandon(c.guard, order.after))
		}
	}
}
