package pool

import (
	"errors"
	"fmt"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// What callers branch on.
var (
	ErrRunDir   = errors.New("the run directory cannot be used")
	ErrTooLong  = errors.New("the path of a socket is too long")
	ErrInsecure = zmqsock.ErrInsecure // the cause of a *zmqsock.EndpointError
	ErrClosed   = errors.New("the member has left the pool")
	ErrNobody   = errors.New("nobody is in the pool on this host")
	ErrNoHost   = errors.New("there is no such host in the pool")
	ErrFailed   = errors.New("the member could not answer")
	ErrLost     = errors.New("the member is lost, and whether it did what was asked is unknown")
	ErrLeft     = errors.New("the member has left the pool")
	ErrEarly    = errors.New("the question was ended before its ledger was complete")
)

// MemberError says why a member's answer is missing. It matches ErrFailed, ErrLost or ErrLeft.
type MemberError struct {
	Entry Entry
	kind  error
}

// Error returns who, what, and why.
func (e *MemberError) Error() string {
	text := fmt.Sprintf("pool: %s on %s: %v", e.Entry.Name, e.Entry.HostName, e.kind)
	if e.Entry.Verdict != "" {
		text += " (" + e.Entry.Verdict + ")"
	}
	if e.Entry.Why != "" {
		text += ": " + e.Entry.Why
	}
	return text
}

// Unwrap returns what callers branch on.
func (e *MemberError) Unwrap() error { return e.kind }
