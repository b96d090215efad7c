package supervision

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// alarm is the one timer of a supervisor. It only posts a tick.
type alarm struct {
	at   time.Time // zero: not set
	stop func()
}

func (a *alarm) fired() { a.at, a.stop = time.Time{}, nil }

func (a *alarm) cancel() {
	if a.stop != nil {
		a.stop()
	}
	a.fired()
}

// setAlarm makes the alarm ring at the earliest deadline there is.
func (s *supervisor) setAlarm() {
	at := s.deadline()
	if at.Equal(s.alarm.at) {
		return
	}
	s.alarm.cancel()
	if at.IsZero() {
		return
	}
	s.alarm.at = at
	s.alarm.stop = s.spec.Clock.After(at.Sub(s.spec.Clock.Now()), func() { s.port.post(tick{}) })
}

func (s *supervisor) deadline() time.Time {
	var first time.Time
	note := func(at time.Time) {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	if len(s.temps) > 0 && !s.swarmBy.IsZero() {
		note(s.swarmBy)
	}
	for _, order := range s.stops {
		note(order.by)
	}
	if s.phase == regrouping && s.pause {
		note(s.due)
	}
	for _, c := range s.order {
		if c.awaits() {
			note(c.due)
		}
	}
	return first
}

// onTick does what is due. A stop order comes first, and is never late because
// of restarts: those only happen while the supervisor runs.
func (s *supervisor) onTick(ctx actor.Context) {
	now := s.spec.Clock.Now()
	s.overdue(ctx, now)
	s.assemble(ctx)
	for _, c := range slices.Clone(s.order) {
		if s.phase > running {
			return
		}
		if c.awaits() && !now.Before(c.due) {
			s.launch(ctx, c)
		}
	}
}
