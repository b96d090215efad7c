package pubsub

import "time"

// lull is a moment in which nothing is sent, so that what was sent can be taken: an answer that a subscriber has asked for again would be dropped like
// the updates of the flood that the first one was lost in.
type lull struct {
	next time.Duration
}

const (
	lullLength = 3 * time.Millisecond
	lullEvery  = 50 * time.Millisecond // at most, so that nobody stops the flood by asking
)

// keep waits, unless it has just done so.
func (l *lull) keep(now time.Duration) {
	if now >= l.next {
		l.next = now + lullEvery
		time.Sleep(lullLength)
	}
}
