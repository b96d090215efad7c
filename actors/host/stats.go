package host

import "reflect"

// Stats is what a mailbox knows about itself at one moment.
type Stats struct {
	Length   int    // user messages waiting
	Limit    int    // the largest Length; MaxCapacity when unbounded
	Handled  uint64 // user messages handed to the actor so far, with the one in progress
	Rejected uint64 // user messages refused because of the limit, or left over when the actor stopped

	Suspended bool // the actor failed and waits for its supervisor
	Stopped   bool // the actor has stopped; what is sent to it is rejected

	// Message is the type of the message that the actor is handling, system messages and the user's Started and
	// Stopping handlers included. It is nil when the actor is idle or the mailbox has no clock.
	Message reflect.Type
	// Since is the clock's reading, in nanoseconds, when the actor took that message.
	Since int64
}

// MessageName returns the type of the message in progress as text, or "".
func (s Stats) MessageName() string {
	if s.Message == nil {
		return ""
	}
	return s.Message.String()
}

// Stats may be called from any goroutine and waits for no handler, so a watchdog can look at an actor that hangs.
func (b *Box) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Stats{
		Length:    b.user.length(),
		Limit:     b.cfg.Capacity,
		Handled:   b.handled,
		Rejected:  b.rejected,
		Suspended: b.suspended,
		Stopped:   b.closed,
	}
	if b.current != nil {
		s.Message, s.Since = reflect.TypeOf(b.current), b.since
	}
	return s
}
