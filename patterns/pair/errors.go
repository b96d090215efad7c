package pair

import (
	"errors"
	"fmt"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// What callers branch on, with errors.Is. The typed error is *Error.
var (
	ErrTaken    = errors.New("the other end is taken")
	ErrGone     = errors.New("the other end has gone")
	ErrClosed   = errors.New("closed")
	ErrGivenUp  = errors.New("the wait was given up")
	ErrTooLarge = errors.New("message too large")
	ErrInsecure = zmqsock.ErrInsecure // the cause of a *zmqsock.EndpointError, as Listen returns it
)

// Error is why an operation has failed. It matches its sentinel, and the context's error where that ended a wait, with errors.Is.
type Error struct {
	Op    string // dial, wait, send, receive
	Kind  error  // one of the sentinels
	Text  string // what, why, and what to do
	cause error
}

// Error returns what, why, and what to do.
func (e *Error) Error() string { return fmt.Sprintf("pair: %s: %v: %s", e.Op, e.Kind, e.Text) }

// Unwrap returns the sentinel and the cause.
func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.cause}
}
