package liveness

import "time"

// Event is something that a host has seen of a peer.
type Event struct {
	What  What
	Since time.Duration // with Ran: from when on evidence counts, of the Judge
	// Silent is, with Sounded, how long the transport has brought nothing; Known false: nothing tells. Coarse: it has been looked at now and is not
	// remembered by anybody, so that it must be looked at again soon.
	Silent time.Duration
	Known  bool
	Coarse bool
	Limit  time.Duration // with Lengthened: what the peer asks for; with Began: the call's budget, 0 for none
}

// What names an event.
type What uint8

// The events of a Peer.
const (
	Met        What = iota // the connection stands
	Heard                  // a message of the peer's, of whatever kind
	BeatGot                // its heartbeat
	BeatSent               // a heartbeat was sent to it
	Sounded                // the host has looked, as Look wanted
	Lost                   // the connection is lost
	Refused                // a message could not be sent: nobody is there
	Lengthened             // the peer asks for a longer limit
	Ran                    // the judge runs
	whats
)
