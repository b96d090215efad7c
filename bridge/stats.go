package bridge

import (
	"sync/atomic"

	"github.com/troupe-mq/troupe/bridge/wire"
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
	Reopened  atomic.Uint64                // connections to a broker made anew
	Unsent    atomic.Uint64                // messages libzmq did not take
	refusedBy [wire.Statuses]atomic.Uint64 // messages refused at the door
}

// Refused returns how many messages were refused at the door for this reason.
func (s *Stats) Refused(why wire.Status) uint64 {
	if int(why) < len(s.refusedBy) {
		return s.refusedBy[why].Load()
	}
	return 0
}

func (s *Stats) refuse(why wire.Status) {
	if int(why) < len(s.refusedBy) {
		s.refusedBy[why].Add(1)
	}
}
