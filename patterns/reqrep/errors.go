package reqrep

import (
	"errors"
	"fmt"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// What callers branch on, with errors.Is. The typed error is *Error.
var (
	ErrNoAnswer = errors.New("no answer")
	ErrService  = errors.New("the service answered with an error")
	ErrBusy     = errors.New("the server is busy")
	ErrClosed   = errors.New("closed")
	ErrTooMany  = errors.New("too many requests under way")
	ErrTooLarge = errors.New("too large") // the request (never started), or its answer (finished)
	ErrInsecure = zmqsock.ErrInsecure     // the cause of a *zmqsock.EndpointError, as New returns it
)

// Outcome says what became of a request.
type Outcome int

// The outcomes.
const (
	NeverStarted Outcome = iota + 1 // it did not run and will not
	Unknown                         // it may have run, or may still
	Finished                        // it ran, and this is the answer
)

// String returns the outcome in words.
func (o Outcome) String() string {
	switch o {
	case NeverStarted:
		return "never started"
	case Unknown:
		return "outcome unknown"
	case Finished:
		return "finished"
	}
	return "no outcome"
}

// Error is why a request has no answer. It matches its sentinel, and the context's error where that ended a wait, with errors.Is.
type Error struct {
	Kind    error // one of the sentinels
	Outcome Outcome
	Tries   int
	Server  string // the endpoint that was asked last
	Text    string // what, why, and what to do
	cause   error
}

// Error returns what, why, and what to do.
func (e *Error) Error() string { return fmt.Sprintf("reqrep: %v (%v): %s", e.Kind, e.Outcome, e.Text) }

// Unwrap returns the sentinel and the cause.
func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.cause}
}
