package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// What callers branch on, with errors.Is. The typed error is *Error.
var (
	ErrClosed   = errors.New("closed")
	ErrBusy     = errors.New("a batch is open already")
	ErrNoSink   = errors.New("no sink")
	ErrSinkLost = errors.New("sink lost")
	ErrKilled   = errors.New("killed")
	ErrEnded    = errors.New("the batch has ended")
	ErrMissing  = errors.New("results are missing")
	ErrTooLarge = errors.New("task too large")
	ErrInsecure = zmqsock.ErrInsecure // the cause of a *zmqsock.EndpointError, as New returns it
)

// Error is why an operation has failed. It matches its sentinel, and the context's error where that ended a wait, with errors.Is.
type Error struct {
	Op    string // start, push, end, receive, work
	Kind  error  // one of the sentinels
	Text  string // what, why, and what to do
	cause error
}

// Error returns what, why, and what to do.
func (e *Error) Error() string { return fmt.Sprintf("pipeline: %s: %v: %s", e.Op, e.Kind, e.Text) }

// Unwrap returns the sentinel and the cause.
func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.cause}
}

func closedError(op string, why error) *Error {
	if why != nil {
		return &Error{Op: op, Kind: ErrClosed, Text: "it has ended: " + why.Error(), cause: why}
	}
	return &Error{Op: op, Kind: ErrClosed, Text: "it was closed before: make a new one"}
}

func waitError(ctx context.Context, op string, kind error, text string) error {
	return &Error{Op: op, Kind: kind, Text: text, cause: context.Cause(ctx)}
}
