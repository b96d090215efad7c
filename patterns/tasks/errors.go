package tasks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/patterns/tasks/machine"
)

// What callers branch on besides package assigner's sentinels.
var (
	ErrDeadline  = errors.New("the task's deadline has passed")
	ErrCancelled = errors.New("the task was cancelled")
	ErrClosed    = errors.New("the tasks' client is closed")
)

// Attempt is one time that a task was given to a worker, or was to be.
type Attempt struct {
	Member string // who had it, as assigner.Member.ID; empty: nobody had
	Began  time.Time
	Took   time.Duration
	Err    error // nil: it was answered
}

// Error is why a task has failed. It matches the sentinel of the last attempt's error, which is an *assigner.Error with verdict and why-record, and ErrDeadline,
// ErrCancelled or ErrClosed where that ended it.
type Error struct {
	Service  string
	ID       string    // if it has one
	Attempts []Attempt // in order; of refusals for want of room the last one only
	Outcome  assigner.Outcome
	cause    []error
}

// Error says what became of the task.
func (e *Error) Error() string {
	name := e.Service
	if e.ID != "" {
		name += " " + e.ID
	}
	text := fmt.Sprintf("tasks: %s failed (%v)", name, e.Outcome)
	if n := len(e.Attempts); n > 1 {
		text = fmt.Sprintf("tasks: %s failed in %d attempts (%v)", name, n, e.Outcome)
	}
	for _, c := range e.cause {
		text += ": " + c.Error()
	}
	return text
}

// Unwrap returns what ended the task, and the last attempt's error.
func (e *Error) Unwrap() []error { return e.cause }

// judge says what an attempt's error means for the task.
func judge(s *Spec, avoided bool, err error) machine.Verdict {
	if err == nil {
		return machine.Answered
	}
	var e *assigner.Error
	if !errors.As(err, &e) {
		return machine.Final
	}
	switch e.Status {
	case wire.QueueFull:
		if e.Outcome == assigner.NeverStarted {
			return machine.Crowded
		}
	case wire.NoMatch:
		if avoided {
			return machine.Alone
		}
		return machine.Final
	case wire.BrokerGone, wire.NotRegistered:
		if s.ID != "" || e.Outcome == assigner.NeverStarted {
			return machine.Crowded // a broker that knows it goes on with it
		}
		return machine.Failed
	case wire.WorkerGone, wire.ServiceError, wire.Panicked, wire.IsStuck, wire.Internal, wire.PeerSlow, wire.Draining, wire.SlotTaken, wire.LeaseOver, wire.LostReply:
		return machine.Failed
	}
	return machine.Final
}

// outcomeOf says what became of a task after all its attempts: it may have run in any of them.
func outcomeOf(attempts []Attempt) assigner.Outcome {
	worst := assigner.NeverStarted
	for _, a := range attempts {
		var e *assigner.Error
		if !errors.As(a.Err, &e) {
			continue
		}
		switch {
		case e.Outcome == assigner.Unknown || worst == assigner.Unknown:
			worst = assigner.Unknown
		case e.Outcome != assigner.NeverStarted:
			worst = e.Outcome
		}
	}
	return worst
}

// failure makes the error of a task.
func (h *Handle) failure(ended error) *Error {
	e := &Error{Service: h.spec.Service, ID: h.spec.ID, Attempts: h.attempts, Outcome: outcomeOf(h.attempts)}
	if ended != nil {
		e.cause = append(e.cause, ended)
	}
	if n := len(h.attempts); n > 0 && h.attempts[n-1].Err != nil && !errors.Is(h.attempts[n-1].Err, context.Canceled) {
		e.cause = append(e.cause, h.attempts[n-1].Err)
	}
	return e
}
