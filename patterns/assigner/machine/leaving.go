package machine

import "time"

// Inside says where the thread of a session is.
type Inside uint8

// The places of a thread.
const (
	Between Inside = iota // it has nothing to do, or is about to take its next message
	Opening               // the session is being opened
	Calling               // a call runs
	Closing               // the session is being closed
)

// Leaving is what is known of a session that may have been asked to end. All times are of one clock; 0 is never.
type Leaving struct {
	Inside   Inside
	Ends     bool          // the session ends when what runs comes back
	Stopped  time.Duration // when what runs was asked to stop
	Closing  time.Duration // since when the session is being closed
	Promised time.Duration // until when the running call has said that it may give no sign
}

// Next judges a session that is looked at. Over says that it has had its time: its thread is to be written off. Else at says when to look again, 0 for
// not before something is said to it. Stop is how long a session may take that is asked to end.
func (l Leaving) Next(now, stop time.Duration) (at time.Duration, over bool) {
	switch {
	case l.Inside == Closing:
		at = l.Closing + stop
	case !l.Ends:
		return 0, false // it goes on, whatever it was asked to stop
	case l.Stopped == 0:
		return now + stop, false // what waits is run before it ends
	default:
		at = max(l.Stopped+stop, l.Promised)
	}
	return at, at <= now
}
