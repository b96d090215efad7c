package host

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
)

const (
	// DefaultCapacity is the number of user messages a mailbox holds when MailboxConfig.Capacity is zero.
	DefaultCapacity = 1024
	// Unbounded as MailboxConfig.Capacity lets the user queue grow without limit. It is meant for actors that must
	// never lose a message and whose senders are bounded by other means.
	Unbounded = -1
	// MaxCapacity is the largest limit that a mailbox accepts.
	MaxCapacity = 1 << 30
	// DefaultThroughput is the number of messages per turn of a dispatcher whose throughput was given as zero.
	DefaultThroughput = 64
)

// MailboxConfig says how the mailboxes of one producer behave. The zero value is usable.
type MailboxConfig struct {
	// Capacity is the largest number of user messages that wait at once. Zero means DefaultCapacity, Unbounded (-1)
	// means no limit. System messages and the poison pill are never refused.
	Capacity int

	// Clock returns a monotonic time in nanoseconds and is called once per message, so it should be a cached value
	// (a loop's "now"), not time.Now. Nil means that no stamps are written. It is called with the mailbox locked:
	// it must not block, nor send to the mailbox's own actor. It may be called from several goroutines at once.
	Clock func() int64

	// Now is the same clock, read afresh: Clock may stand still while a handler does not return. It is for who looks at an
	// actor from outside, and is called with the mailbox locked, like Clock. Nil means Clock.
	Now func() int64

	// OnReject is told, exactly once each, of user messages that will not be handled: the reason is a *FullError
	// (errors.Is ErrMailboxFull) or wraps ErrStopped. It runs in the goroutine of the sender or of the actor's turn,
	// without any lock held, and replaces the dead letter. Nil means that the message becomes a dead letter, which
	// answers a waiting Request with actor.DeadLetterResponse. The PID is nil before the actor has been registered.
	OnReject func(pid *actor.PID, message any, reason error)
}

// Validate reports the first field that makes no sense, by name and with the remedy.
func (c MailboxConfig) Validate() error {
	if c.Capacity < Unbounded || c.Capacity > MaxCapacity {
		return fmt.Errorf("host: MailboxConfig.Capacity is %d, but a mailbox needs a limit from 1 to %d: "+
			"set that, 0 for the default of %d, or host.Unbounded", c.Capacity, MaxCapacity, DefaultCapacity)
	}
	return nil
}

// withDefaults fills in what zero values stand for; an unbounded capacity becomes the largest one.
func (c MailboxConfig) withDefaults() MailboxConfig {
	switch c.Capacity {
	case 0:
		c.Capacity = DefaultCapacity
	case Unbounded:
		c.Capacity = MaxCapacity
	}
	if c.Now == nil {
		c.Now = c.Clock
	}
	return c
}
