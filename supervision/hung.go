package supervision

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// limitOf returns how long the child may be in one message, zero for ever.
func (s *supervisor) limitOf(c *child, g *guard) time.Duration {
	if s.spec.Watchdog == nil || s.spec.Stamps == nil {
		return 0
	}
	if _, nested := g.inner.(*supervisor); nested {
		return c.spec.Limit
	}
	if c.spec.Limit > 0 {
		return c.spec.Limit
	}
	return s.spec.ChildLimit
}

// watchOver has the watchdog look at the child behind g. It does not if the
// mailbox writes no stamps.
func (s *supervisor) watchOver(g *guard, limit time.Duration) {
	box := s.spec.Stamps(s.system, g.pid)
	if box == nil {
		s.spec.Logger.Warn("the watchdog cannot look at a child: its mailbox writes no stamps", "pid", g.pid.Id)
		return
	}
	port := s.port
	remove, err := s.spec.Watchdog.Watch(Watched{
		Path: g.pid.Id, Limit: limit,
		Look: func() (bool, string, uint64) {
			m := box.Stamp()
			return m.Message != "", m.Message, m.Handled<<32 ^ uint64(m.Since)
		},
		Stack: func() []byte { return StackOf("supervision.(*fence).pass", g.fence) },
		Stuck: func(h Hung) { port.post(hung{g, h}) },
	})
	if err != nil {
		s.spec.Logger.Error("the watchdog does not look at a child", "pid", g.pid.Id, "error", err)
		return
	}
	g.fence.unwatch = remove
}

// onHung abandons a child that does not return, if it is still the one that
// the watchdog has seen. A child that is stopping has its own deadline.
func (s *supervisor) onHung(ctx actor.Context, m hung) {
	if m.guard.pid == nil || s.alive(m.guard.pid) != m.guard {
		return
	}
	c := s.children[s.idOf(m.guard.pid.Id)]
	if c == nil || s.stops[c.spec.ID] != nil || s.phase >= closing {
		return
	}
	_ = s.abandon(m.guard, m.reason.After)
	s.gone(ctx, c, m.reason)
}
