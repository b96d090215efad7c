package supervision

import (
	"errors"

	"github.com/asynkron/protoactor-go/actor"
)

// HandleFailure implements actor.SupervisorStrategy: a failed child is always
// stopped, and everything else is decided when it has terminated. It is asked
// on the supervisor's goroutine.
func (s *supervisor) HandleFailure(_ *actor.ActorSystem, sv actor.Supervisor, who *actor.PID,
	_ *actor.RestartStatistics, reason, _ any,
) {
	if !keptByGuard(reason) && s.alive(who) != nil {
		s.failures[who.Id] = reason
	}
	sv.StopChildren(who)
}

// keptByGuard says that the panic went through a guard, which knows it better.
// A mailbox may have wrapped it on its way.
func keptByGuard(reason any) bool {
	err, ok := reason.(error)
	var p Panic
	return ok && errors.As(err, &p)
}

// panicOf makes a Panic of what a mailbox reported. Mailboxes that keep the
// stack offer it by the method PanicStack.
func panicOf(reason any) Panic {
	p := Panic{Value: reason}
	if r, ok := reason.(interface{ PanicStack() []byte }); ok {
		p.Stack = r.PanicStack()
	}
	return p
}

// alive returns the guard of the incarnation who, or nil if it is none of a
// present child.
func (s *supervisor) alive(who *actor.PID) *guard {
	id := s.idOf(who.Id)
	g := s.temps[id]
	if c := s.children[id]; c != nil {
		g = c.guard
	}
	if g == nil || g.pid.Id != who.Id {
		return nil
	}
	return g
}

// reasonOf says why the child behind g, which has terminated, has ended.
func (s *supervisor) reasonOf(id string, g *guard) Reason {
	if v, ok := s.failures[g.pid.Id]; ok {
		delete(s.failures, g.pid.Id)
		return panicOf(v)
	}
	if g.reason != nil {
		return g.reason
	}
	if s.stops[id] != nil || s.phase == broken || !s.swarmBy.IsZero() {
		return Shutdown{}
	}
	return Normal{}
}
