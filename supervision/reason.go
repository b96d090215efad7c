package supervision

import (
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/supervision/restart"
)

// Reason says why a child, or a whole supervisor, ended. Every Reason is one
// of the types of this file, and an error, so that it can be wrapped and
// matched with errors.As.
type Reason interface {
	error
	// Class is what the restart decision looks at.
	Class() restart.Class
}

// Normal is the end of an actor that was done.
type Normal struct{}

// Shutdown is the end of an actor that its supervisor told to stop.
type Shutdown struct{}

// Panic is the end of an actor whose handler panicked. Stack is the stack of
// the panicking goroutine, nil if the panic happened outside of the handler.
type Panic struct {
	Value any
	Stack []byte
}

// Error is the end of an actor that gave an error as its reason.
type Error struct{ Err error }

// Abandoned is the end of a child that did not stop within its deadline.
// Its goroutine may still run; nothing reaches it any more by its PID.
type Abandoned struct{ After time.Duration }

// Hung is the end of a child whose handler did not return within its Limit.
// Its goroutine may still run; nothing reaches it any more by its PID, and what
// it sends by its context becomes a dead letter.
type Hung struct {
	Path    string
	Message string        // type of the message it is in
	After   time.Duration // how long it was seen in that
	Limit   time.Duration
	Stack   []byte // of its goroutine, nil if that was not found
}

// StartFailed is the end of a child that ended before it reported its start,
// and of a supervisor that could not start its child ID for that reason.
type StartFailed struct {
	ID    string
	Cause Reason
}

// IntensityExceeded is the end of a supervisor that would have had to restart
// more often than its Intensity allows. ID and Last are the child whose
// restart was one too many and the reason of its end.
type IntensityExceeded struct {
	ID    string
	Last  Reason
	Limit Intensity
}

// Error says the reason in words.
func (Normal) Error() string { return "normal" }

// Error says the reason in words.
func (Shutdown) Error() string { return "shutdown" }

// Error says the reason in words.
func (p Panic) Error() string { return fmt.Sprintf("panic: %v", p.Value) }

// Error says the reason in words.
func (e Error) Error() string { return fmt.Sprintf("error: %v", e.Err) }

// Error says the reason in words.
func (a Abandoned) Error() string {
	return fmt.Sprintf("abandoned: did not stop within %v", a.After)
}

// Error says the reason in words.
func (h Hung) Error() string {
	return fmt.Sprintf("hung: has been in %s for %v, the limit is %v: find what blocks it, or raise Limit", h.Message, h.After, h.Limit)
}

// Error says the reason in words.
func (s StartFailed) Error() string {
	return fmt.Sprintf("child %q did not start: %v", s.ID, s.Cause)
}

// Error says the reason in words.
func (i IntensityExceeded) Error() string {
	return fmt.Sprintf("more than %d restarts within %v, the last of child %q (%v): "+
		"remove the cause, or raise Intensity", i.Limit.Restarts, i.Limit.Window, i.ID, i.Last)
}

// Unwrap returns the panic's value if that is an error.
func (p Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// Unwrap returns the actor's error.
func (e Error) Unwrap() error { return e.Err }

// Unwrap returns the reason of the end.
func (s StartFailed) Unwrap() error { return s.Cause }

// Unwrap returns the reason of the child's last end.
func (i IntensityExceeded) Unwrap() error { return i.Last }

// Class implements Reason; the end is a normal one.
func (Normal) Class() restart.Class { return restart.Normal }

// Class implements Reason; the end is a normal one.
func (Shutdown) Class() restart.Class { return restart.Normal }

// Class implements Reason; the end is an abnormal one.
func (Panic) Class() restart.Class { return restart.Abnormal }

// Class implements Reason; the end is an abnormal one.
func (Error) Class() restart.Class { return restart.Abnormal }

// Class implements Reason; the end is an abnormal one.
func (Abandoned) Class() restart.Class { return restart.Abnormal }

// Class implements Reason; the end is an abnormal one.
func (Hung) Class() restart.Class { return restart.Abnormal }

// Class implements Reason; the end is an abnormal one.
func (StartFailed) Class() restart.Class { return restart.Abnormal }

// Class implements Reason; the end is an abnormal one.
func (IntensityExceeded) Class() restart.Class { return restart.Abnormal }

func abnormal(r Reason) bool { return r != nil && r.Class() == restart.Abnormal }
