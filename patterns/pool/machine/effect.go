package machine

import (
	"time"

	"github.com/troupe-mq/troupe/patterns/pool/machine/ledger"
	"github.com/troupe-mq/troupe/patterns/pool/machine/vote"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
	"github.com/troupe-mq/troupe/supervision/why"
)

// LinkID names a connection to another host's master; 0 is none.
type LinkID uint64

// Peer is somebody to send to, or who has sent: a member or guest of this host, or another host's master.
type Peer struct {
	Member wire.MemberID
	Link   LinkID
}

// Port is what carries out a Node's effects. None of its methods may call the Node.
type Port interface {
	Scan()                                                   // look for the highest term and the living; answered by Scanned
	Claim(term uint64)                                       // answered by Claimed
	Resign(term uint64)                                      // give up the term's lock and all links
	Follow(term uint64, master wire.Record)                  // connect to it, and to nobody else; watch its process
	Lead(term uint64)                                        // listen for other hosts and connect to them
	Watch(member wire.Record)                                // tell by Ended when its process, or its lock, is no more
	Unwatch(id wire.MemberID)                                //
	Send(to Peer, m wire.Message)                            // or lose it
	Look(term uint64, master wire.Record)                    // answered by Looked
	Kill(term uint64, master wire.Record)                    // answered by Killed; only what is still that process and holds that term
	Handle(q wire.QuestionID, host wire.HostID, body []byte) // run the handler; answered by Answer
	Stop(q wire.QuestionID)                                  // nobody wants that answer any more
	// Deliver is for who asks. The book is the Node's while the question is open, and the Port's once it is done.
	Deliver(seq uint64, book *ledger.Ledger, events []ledger.Event, done bool)
	Changed()          // role or view
	Tell(r why.Record) // a verdict
}

// Effect is one thing for a Port to do.
type Effect interface{ Do(p Port) }

type (
	scan   struct{}
	claim  struct{ term uint64 }
	resign struct{ term uint64 }
	follow struct {
		term   uint64
		master wire.Record
	}
	lead    struct{ term uint64 }
	watch   struct{ member wire.Record }
	unwatch struct{ id wire.MemberID }
	send    struct {
		to Peer
		m  wire.Message
	}
	look struct {
		term   uint64
		master wire.Record
	}
	kill struct {
		term   uint64
		master wire.Record
	}
	handle struct {
		q    wire.QuestionID
		host wire.HostID
		body []byte
	}
	stop    struct{ q wire.QuestionID }
	deliver struct {
		seq    uint64
		book   *ledger.Ledger
		events []ledger.Event
		done   bool
	}
	changed struct{}
	tell    struct{ r why.Record }
)

// Do is Effect's.
func (scan) Do(p Port) { p.Scan() }

// Do is Effect's.
func (e claim) Do(p Port) { p.Claim(e.term) }

// Do is Effect's.
func (e resign) Do(p Port) { p.Resign(e.term) }

// Do is Effect's.
func (e follow) Do(p Port) { p.Follow(e.term, e.master) }

// Do is Effect's.
func (e lead) Do(p Port) { p.Lead(e.term) }

// Do is Effect's.
func (e watch) Do(p Port) { p.Watch(e.member) }

// Do is Effect's.
func (e unwatch) Do(p Port) { p.Unwatch(e.id) }

// Do is Effect's.
func (e send) Do(p Port) { p.Send(e.to, e.m) }

// Do is Effect's.
func (e look) Do(p Port) { p.Look(e.term, e.master) }

// Do is Effect's.
func (e kill) Do(p Port) { p.Kill(e.term, e.master) }

// Do is Effect's.
func (e handle) Do(p Port) { p.Handle(e.q, e.host, e.body) }

// Do is Effect's.
func (e stop) Do(p Port) { p.Stop(e.q) }

// Do is Effect's.
func (e deliver) Do(p Port) { p.Deliver(e.seq, e.book, e.events, e.done) }

// Do is Effect's.
func (changed) Do(p Port) { p.Changed() }

// Do is Effect's.
func (e tell) Do(p Port) { p.Tell(e.r) }

// Config says what a Node is. All durations and bounds are required.
type Config struct {
	Pool  string
	Me    wire.Record
	Guest bool // it asks and is no member: not elected, not counted, not asked

	Silence time.Duration // of a master or a member: FROZEN after it
	Beat    time.Duration // between heartbeats
	Window  time.Duration // how long a poll is good for
	Reach   time.Duration // silence of a host: it may elect a new master meanwhile
	Forget  time.Duration // how long a host out of reach is remembered
	Redrive time.Duration // after which a question is asked for again where answers are missing; doubles up to 16 times that

	MaxBytes int // of answers that are kept until they are acknowledged
	MaxKnown int // of questions that are known again
	MaxWhys  int

	Rand  func(n int) int                                           // a number below n
	Heard func(host wire.HostID, term uint64, master wire.MemberID) // is called for whatever is obeyed of a master; may be nil

	Faults Faults
}

// Faults make a Node wrong on purpose, for the tests of the tests.
type Faults struct {
	Vote        vote.Faults
	NoTermCheck bool // it obeys whatever term it hears
	Forgetful   bool // it does not remember what it was asked
}
