package assigner

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/supervision/why"
)

// What callers branch on: errors.Is(err, assigner.ErrWorkerGone). The typed error is *Error. docs/failures.md says of each when it comes, and what to do.
var (
	ErrUnknownService = errors.New("unknown service")
	ErrQueueFull      = errors.New("queue full")
	ErrExpired        = errors.New("deadline passed before it began")
	ErrCancelled      = errors.New("cancelled")
	ErrWorkerGone     = errors.New("worker gone")
	ErrService        = errors.New("the service answered with an error")
	ErrPanicked       = errors.New("the service crashed")
	ErrClosed         = errors.New("the hit is closed")
	ErrKilled         = errors.New("killed by an operator")
	ErrBrokerGone     = errors.New("broker gone")
	ErrTooLarge       = errors.New("body too large")
	ErrPeerSlow       = errors.New("the receiver does not read")
	ErrDraining       = errors.New("takes no new hits")
	ErrNameTaken      = errors.New("the worker's name is taken")
	ErrRefused        = errors.New("refused")
	ErrInternal       = errors.New("an actor of the broker or the client crashed")
	ErrProtocol       = errors.New("protocol error")
	ErrBadBody        = errors.New("the body cannot be read")
	ErrStuck          = errors.New("the call has given no sign for longer than its lease")
	ErrLeaseOver      = errors.New("the worker has not heard from its broker for too long")
	ErrBadToken       = errors.New("the token opens no direct hit")
	ErrBadPart        = errors.New("a body in parts is not whole")
	ErrOverCredit     = errors.New("more was sent than the receiver has allowed")
	ErrSlotTaken      = errors.New("the slot went to another hit")
	ErrNoMatch        = errors.New("no worker is what the target asks for")
)

var sentinels = map[wire.Status]error{
	wire.UnknownService: ErrUnknownService, wire.QueueFull: ErrQueueFull, wire.Expired: ErrExpired, wire.Cancelled: ErrCancelled,
	wire.WorkerGone: ErrWorkerGone, wire.ServiceError: ErrService, wire.Panicked: ErrPanicked, wire.IsClosed: ErrClosed, wire.OK: ErrClosed,
	wire.UnknownHit: ErrClosed, wire.Killed: ErrKilled, wire.BrokerGone: ErrBrokerGone, wire.NotRegistered: ErrBrokerGone, wire.TooLarge: ErrTooLarge,
	wire.PeerSlow: ErrPeerSlow, wire.Draining: ErrDraining, wire.NameTaken: ErrNameTaken, wire.Refused: ErrRefused, wire.Internal: ErrInternal,
	wire.LeaseOver: ErrLeaseOver, wire.IsStuck: ErrStuck, wire.BadBody: ErrBadBody,
	wire.BadToken: ErrBadToken, wire.BadPart: ErrBadPart, wire.OverCredit: ErrOverCredit, wire.SlotTaken: ErrSlotTaken, wire.NoMatch: ErrNoMatch,
	wire.BadKey: ErrBadKey, wire.LostReply: ErrReplyLost, wire.Fenced: ErrFenced,
}

// Outcome says what became of a call that has no reply.
type Outcome = wire.Outcome

// The outcomes of a failed call.
const (
	Finished     = wire.Finished     // the service ran and answered with this error
	NeverStarted = wire.NeverStarted // it did not run and will not
	Unknown      = wire.Unknown      // it may have run, in part or whole
	ReplyLost    = wire.ReplyLost    // it ran to its end; the reply is lost
)

// Error is why an open or a call failed. It matches the sentinel of its status with errors.Is, and the context's error where that ended the wait.
type Error struct {
	Status  wire.Status
	Outcome Outcome         // what became of the call
	Text    string          // what, why, and what to do
	Why     json.RawMessage // the why-record, if there is one
	Service string
	Hit     uint64 // 0 before it was opened
	cause   error
}

// Reason returns the why-record, and whether there is one: a service's own errors may carry something else in Why.
func (e *Error) Reason() (why.Record, bool) {
	r, err := why.Parse(e.Why)
	return r, err == nil
}

// Error returns the status, the outcome and the text.
func (e *Error) Error() string {
	where := e.Service
	if e.Hit != 0 {
		where = fmt.Sprintf("%s, hit %x", e.Service, e.Hit)
	}
	return fmt.Sprintf("troupe: %s: %v (%v): %s", where, e.Status, e.Outcome, e.Text)
}

// Unwrap returns the sentinel of the status, and the context's error if that ended the wait.
func (e *Error) Unwrap() []error {
	s := sentinels[e.Status]
	if s == nil {
		s = ErrProtocol
	}
	if e.cause != nil {
		return []error{s, e.cause}
	}
	return []error{s}
}
