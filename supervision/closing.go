package supervision

import (
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// grace is what a parent adds to the time a nested supervisor asks for, so
// that the inner deadline passes first and names the child that hangs.
const grace = time.Second

// orderly is implemented by actors that stop in their own time when asked, and
// then call Exit. askStop is called on the supervisor's goroutine, possibly
// before the actor has started, and must not block.
type orderly interface{ askStop() }

// shut begins the ordered stop; reason is how the supervisor will end.
func (s *supervisor) shut(ctx actor.Context, reason Reason) {
	if s.phase >= closing {
		return
	}
	s.phase, s.verdict = closing, reason
	early := s.early
	s.early = nil
	for _, do := range early { // each answers that the supervisor is stopping
		do(ctx)
	}
	s.advance(ctx)
}

// proceed does what the end of a child makes possible.
func (s *supervisor) proceed(ctx actor.Context) {
	s.advance(ctx)
	s.assemble(ctx)
}

// advance makes the next step of the ordered stop, if the last is done: first
// all small temporary children together, then the others in reverse order.
func (s *supervisor) advance(ctx actor.Context) {
	if s.phase != closing {
		return
	}
	if len(s.temps) > 0 {
		s.stopSwarm(ctx)
		return
	}
	for len(s.order) > 0 {
		c := s.order[len(s.order)-1]
		if c.guard != nil {
			if s.stops[c.spec.ID] == nil {
				s.orderStop(ctx, c)
			}
			s.report.wait(s.self.Id, c.guard.pid.Id)
			return
		}
		s.drop(ctx, c, nil, Shutdown{}) // it was waiting for its restart
	}
	s.report.wait(s.self.Id, "")
	s.guard.reason = s.verdict
	ctx.Stop(s.self)
}

func (s *supervisor) stopSwarm(ctx actor.Context) {
	if !s.swarmBy.IsZero() {
		return
	}
	s.swarmBy = s.spec.Clock.Now().Add(s.spec.Shutdown)
	s.needUntil(s.spec.Shutdown)
	s.report.wait(s.self.Id, fmt.Sprintf("%s* (%d temporary children)", s.prefix, len(s.temps)))
	for _, g := range s.temps {
		ctx.Stop(g.pid)
	}
}

// noteStop notes the deadline of c, which is being told to stop.
func (s *supervisor) noteStop(c *child) {
	after, extends := c.spec.Shutdown, false
	if after == 0 {
		after = s.spec.Shutdown
		_, extends = c.guard.inner.(*supervisor)
	}
	s.deadlineFor(c.spec.ID, after).extends = extends
	c.state = StateStopping
}

// orderStop tells c to stop.
func (s *supervisor) orderStop(ctx actor.Context, c *child) {
	s.noteStop(c)
	if o, ok := c.guard.inner.(orderly); ok {
		o.askStop()
	} else {
		ctx.Stop(c.guard.pid)
	}
}

func (s *supervisor) deadlineFor(id string, after time.Duration) *stopping {
	order := &stopping{by: s.spec.Clock.Now().Add(after), after: after}
	s.stops[id] = order
	s.needUntil(after)
	return order
}

// needUntil tells the parent, if this supervisor is stopping, how long its
// present step may take.
func (s *supervisor) needUntil(by time.Duration) {
	if s.phase >= closing && s.parent != nil {
		s.parent.post(extend{s.guard, by})
	}
}

func (s *supervisor) onExtend(m extend) {
	c := s.children[s.idOf(m.guard.pid.Id)]
	if c == nil || c.guard != m.guard {
		return
	}
	order := s.stops[c.spec.ID]
	if order == nil || !order.extends {
		return
	}
	after := m.by + grace
	if by := s.spec.Clock.Now().Add(after); by.After(order.by) {
		order.by, order.after = by, after
	}
	s.needUntil(after)
}

func (s *supervisor) resolveStop(id string, reason Reason) {
	order := s.stops[id]
	if order == nil {
		return
	}
	delete(s.stops, id)
	done := &ChildStopped{ID: id, Reason: reason}
	if a, ok := reason.(Abandoned); ok {
		done.Err = a
	}
	for _, answer := range order.answers {
		answer(done)
	}
}

// interrupted hears that protoactor itself stops the supervisor: it is about
// to tell all children at once. What remains is to hold the deadlines.
func (s *supervisor) interrupted(ctx actor.Context) {
	if s.phase == closing && len(s.temps)+len(s.order) == 0 {
		return // the end of an ordered stop
	}
	s.phase = broken
	if s.guard.reason == nil {
		s.guard.reason = s.verdict // nil, that is Shutdown, unless it was closing
	}
	s.swarmBy = s.spec.Clock.Now().Add(s.spec.Shutdown)
	for _, c := range slices.Clone(s.order) {
		if c.guard == nil {
			s.drop(ctx, c, nil, Shutdown{})
		} else if s.stops[c.spec.ID] == nil {
			s.noteStop(c)
		}
	}
}

// ended is the last thing a supervisor does.
func (s *supervisor) ended() {
	s.alarm.cancel()
	s.port.close()
	s.report.wait(s.self.Id, "")
	if s.onEnd != nil {
		s.onEnd()
	}
}
