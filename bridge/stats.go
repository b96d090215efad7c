package bridge

import (
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// Stats counts what a loop does. All fields may be read from any goroutine.
type Stats struct {
	Received  atomic.Uint64 // messages delivered
	Sent      atomic.Uint64 // messages handed to libzmq
	Peers     atomic.Int64  // connections known now
	Lost      atomic.Uint64 // connections lost
	HungUp    atomic.Uint64 // connections ended because the peer does not read
	Waiting   atomic.Int64  // messages that wait for a peer's window, now
	Ignored   atomic.Uint64 // messages of strangers that were not even answered
	Turns     atomic.Uint64
	Sleeps    atomic.Uint64
	Reopened  atomic.Uint64 // connections to a broker made anew
	Unsent    atomic.Uint64 // messages libzmq did not take
	Nobody    atomic.Uint64 // messages at an endpoint with Curve over connections that nobody has judged
	failed    [zmqsock.Failures]atomic.Uint64
	refusedBy [wire.Statuses]atomic.Uint64 // messages refused at the door

	longest, before atomic.Int64 // turn of this span and of the one before, ns
	span            int64        // the loop's
}

// recently is how long Longest looks back: so much, up to twice.
const recently = 5 * time.Second

// took notes how long a turn was that ended at now. It belongs to the loop.
func (s *Stats) took(now, d time.Duration) {
	if span := int64(now / recently); span != s.span {
		if span > s.span+1 {
			s.longest.Store(0)
		}
		s.before.Store(s.longest.Load())
		s.longest.Store(0)
		s.span = span
	}
	if int64(d) > s.longest.Load() {
		s.longest.Store(int64(d))
	}
}

// Longest returns how long the longest turn of the last 5 to 10 seconds was: messages that came meanwhile waited so long. What took the processor away is in it.
func (s *Stats) Longest() time.Duration {
	return time.Duration(max(s.longest.Load(), s.before.Load()))
}

// Refused returns how many messages were refused at the door for this reason.
func (s *Stats) Refused(why wire.Status) uint64 {
	if int(why) < len(s.refusedBy) {
		return s.refusedBy[why].Load()
	}
	return 0
}

// Failed returns how many handshakes at ROUTERs failed for this reason.
func (s *Stats) Failed(why zmqsock.Failure) uint64 {
	if why >= 0 && int(why) < len(s.failed) {
		return s.failed[why].Load()
	}
	return 0
}

func (s *Stats) fail(why zmqsock.Failure) {
	if why >= 0 && int(why) < len(s.failed) {
		s.failed[why].Add(1)
	}
}

func (s *Stats) refuse(why wire.Status) {
	if int(why) < len(s.refusedBy) {
		s.refusedBy[why].Add(1)
	}
}
