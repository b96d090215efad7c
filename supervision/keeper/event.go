package keeper

import (
	"time"

	"github.com/troupe-mq/troupe/supervision/why"
)

// What names an event.
type What uint8

// The events.
const (
	Begin   What = iota // the child is wanted
	Started             // it runs
	Ended               // it has ended, or could not be started
	Looked              // the host has looked, as Look wanted
	Order               // somebody wants the child, and its keeper, to end
	Tick                // the Deadline has come
	whats
)

// Event is something that the host has done or seen.
type Event struct {
	What   What
	End    End     // with Ended
	Random float64 // with Ended: a uniform choice from [0, 1), for the back-off
	Seen   Sight   // with Looked
}

// End is how a child has ended.
type End struct {
	Code   int    // its exit status; 128 and the signal's number where a signal ended it, as shells count
	Signal string // the signal that ended it; empty: none
	Failed string // why it could not be started; empty: it was
}

// Sight is what a look at a child has shown.
type Sight struct {
	Stand    Stand
	Beats    uint64        // how many pulses have come from it since it was started
	Asked    time.Duration // how long it wants to be allowed without one; 0: it has not said so
	Stopping bool          // it has said that it is about to end: it gives no pulse any more
	Gives    bool          // it has said itself that it cannot go on (WATCHDOG=trigger)
}

// Stand is how a process stands.
type Stand uint8

// The ways to stand.
const (
	Runs   Stand = iota // it runs, sleeps, or nothing is known
	Stands              // all of it is stopped
	Traced              // a debugger holds it
)

// Kind says what the host has to do.
type Kind uint8

// The effects.
const (
	Start  Kind = iota + 1 // start the child, and say Started or Ended
	Look                   // take in all that the child has said, look how it stands, and say so by Looked
	Pass                   // tell the child to end, with the signal of the order
	Abort                  // end it by SIGABRT, so that it can say where it is
	Kill                   // end it by SIGKILL
	Judge                  // tell a verdict, which comes before the effect that ends the child
	Report                 // tell how the child ended, and what follows
	Over                   // there is nothing left to keep
)

// Effect is one thing the host has to do.
type Effect struct {
	Kind   Kind
	Why    *why.Record // with Judge
	Report Note        // with Report
	Code   int         // with Over: what the keeper should end with
}

// Note says how a child ended and what follows.
type Note struct {
	End    End
	Ran    time.Duration // how long it had run
	Again  bool          // it is started again
	In     time.Duration // with Again: when
	Count  int           // with Again: how many starts again count at present, this one included
	Limit  int           // how many may
	Window time.Duration // within which time
	Reason string        // why that follows
}
