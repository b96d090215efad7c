package supervision

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Stamp is what a mailbox says of its actor at one moment.
type Stamp struct {
	Waiting int           // user messages that wait
	Handled uint64        // user messages handed to the actor so far, with the one in progress
	Message string        // type of the message in progress, "" while the actor is idle
	Since   int64         // when the actor took it, by the mailbox's clock, nanoseconds
	For     time.Duration // how long ago that was
}

// Stamper is a mailbox that can be asked what its actor is in. Stamp may be
// called from any goroutine, and waits for no handler.
type Stamper interface{ Stamp() Stamp }

// Stamps is the port through which supervision sees mailboxes: it finds that
// of an actor, and returns nil if there is none that writes stamps. It is
// called on any goroutine and must not block. actors/host has one.
type Stamps func(system *actor.ActorSystem, pid *actor.PID) Stamper

// stampOf asks the mailbox of pid, if there is one that can be asked.
func (s *supervisor) stampOf(pid *actor.PID) (Stamp, bool) {
	if s.spec.Stamps == nil || pid == nil {
		return Stamp{}, false
	}
	m := s.spec.Stamps(s.system, pid)
	if m == nil {
		return Stamp{}, false
	}
	return m.Stamp(), true
}
