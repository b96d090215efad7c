package supervision

import (
	"log/slog"
	"runtime/debug"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/supervision/restart"
)

// gone decides what follows from the end of an incarnation of c.
func (s *supervisor) gone(ctx actor.Context, c *child, reason Reason) {
	ordered := s.stops[c.spec.ID] != nil || s.phase == broken
	if c.state == StateStarting && !ordered {
		reason = StartFailed{ID: c.spec.ID, Cause: reason}
	}
	pid := c.pid()
	if c.guard != nil && c.guard.fence != nil {
		c.guard.fence.drop()
	}
	c.guard, c.last = nil, reason
	switch {
	case c.part == leaving && s.phase == regrouping:
		s.left(ctx, c, pid, reason)
	case ordered || s.phase >= closing:
		s.drop(ctx, c, pid, reason)
		s.proceed(ctx)
	case c.answer != nil: // a dynamic child whose first start failed
		s.drop(ctx, c, pid, reason)
	case s.phase == starting && c.restarts == 0 && c.state == StateStarting:
		s.drop(ctx, c, pid, reason)
		s.shut(ctx, reason)
	case s.phase == starting && s.spec.Strategy != OneForOne, s.phase == starting && c.spec.Significant:
		// As in OTP, it concerns the others when all have been started.
		c.state, c.part = StateWaiting, held
		s.early = append(s.early, func(ctx actor.Context) {
			if c.part == held && s.children[c.spec.ID] == c {
				s.follow(ctx, c, pid, reason)
			}
		})
	default:
		s.follow(ctx, c, pid, reason)
	}
}

// follow does what the plan for the end of c says.
func (s *supervisor) follow(ctx actor.Context, c *child, pid *actor.PID, reason Reason) {
	if s.phase >= closing {
		return // this was put off
	}
	c.part = none
	plan := s.planFor(c, reason.Class())
	if plan.Again {
		s.again(ctx, c, pid, reason, plan)
		return
	}
	s.drop(ctx, c, pid, reason)
	if plan.End {
		s.spec.Logger.Info("supervisor ends with its significant children", "supervisor", s.self.Id,
			"child", c.spec.ID, "auto_shutdown", s.spec.AutoShutdown.String())
		s.shut(ctx, Shutdown{})
		return
	}
	s.proceed(ctx)
}

// drop forgets c and tells everybody.
func (s *supervisor) drop(ctx actor.Context, c *child, pid *actor.PID, reason Reason) {
	s.tellExited(ctx, Exited{ID: c.spec.ID, PID: pid, Reason: reason})
	if c.answer != nil {
		err := error(reason)
		if s.phase >= closing {
			err = ErrStopping
		}
		c.answer(&Started{ID: c.spec.ID, Err: err})
		c.answer = nil
	}
	s.remove(c)
	s.resolveStop(c.spec.ID, reason)
}

// again schedules a restart of c and of whom the plan names, or gives up.
func (s *supervisor) again(ctx actor.Context, c *child, pid *actor.PID, reason Reason, plan restart.Plan) {
	now := s.spec.Clock.Now()
	if c.state == StateRunning && now.Sub(c.since) >= s.spec.Intensity.Window {
		c.attempt = 0
	}
	if !s.ledger.Record(now) {
		s.drop(ctx, c, pid, reason)
		s.shut(ctx, IntensityExceeded{ID: c.spec.ID, Last: reason, Limit: s.ledger.Limit()})
		return
	}
	delay := s.spec.Backoff.Delay(c.attempt, s.spec.Random())
	c.state, c.due = StateWaiting, now.Add(delay)
	c.attempt++
	c.restarts++
	s.spec.Logger.Info("child is started again", "supervisor", s.self.Id, "child", c.spec.ID,
		"restarts", c.restarts, "delay", delay)
	s.tellExited(ctx, Exited{ID: c.spec.ID, PID: pid, Reason: reason, Restarting: true})
	if s.spec.Strategy != OneForOne {
		s.regroup(ctx, plan, c.due)
	}
}

// tempGone forgets a small temporary child.
func (s *supervisor) tempGone(ctx actor.Context, id string, g *guard, reason Reason) {
	delete(s.temps, id)
	if answer := s.acks[id]; answer != nil { // it has not reported its start
		delete(s.acks, id)
		reason = StartFailed{ID: id, Cause: reason}
		answer(&Started{ID: id, Err: reason})
	}
	s.tellExited(ctx, Exited{ID: id, PID: g.pid, Reason: reason})
	if len(s.watchers) > 0 {
		delete(s.watchers, id)
	}
	if len(s.stops) > 0 {
		s.resolveStop(id, reason)
	}
	if s.phase > running {
		s.proceed(ctx)
	}
}

func (s *supervisor) tellExited(ctx actor.Context, e Exited) {
	s.logExit(e)
	watchers := s.watchers[e.ID]
	if s.spec.Observer != nil || len(watchers) > 0 {
		shared := e // allocated only if somebody listens
		if s.spec.Observer != nil {
			ctx.Send(s.spec.Observer, &shared)
		}
		for _, w := range watchers {
			ctx.Send(w, &shared)
		}
	}
	if s.spec.OnExit != nil {
		s.callOnExit(e)
	}
}

func (s *supervisor) callOnExit(e Exited) {
	defer func() {
		if v := recover(); v != nil {
			s.spec.Logger.Error("OnExit panicked: make it return", "supervisor", s.self.Id,
				"child", e.ID, "panic", v, "stack", string(debug.Stack()))
		}
	}()
	s.spec.OnExit(e)
}

func (s *supervisor) tellRestarted(ctx actor.Context, c *child) {
	m := &Started{ID: c.spec.ID, PID: c.guard.pid}
	if s.spec.Observer != nil {
		ctx.Send(s.spec.Observer, m)
	}
	for _, w := range s.watchers[c.spec.ID] {
		ctx.Send(w, m)
	}
}

func (s *supervisor) logExit(e Exited) {
	if !abnormal(e.Reason) {
		return
	}
	attrs := []any{"supervisor", s.self.Id, "child", e.ID, "reason", e.Reason.Error()}
	if e.PID != nil {
		attrs = append(attrs, "pid", e.PID.Id)
	}
	if p, ok := e.Reason.(Panic); ok {
		attrs = append(attrs, slog.String("stack", string(p.Stack)))
	}
	s.spec.Logger.Warn("child ended", attrs...)
}
