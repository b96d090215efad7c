// Package election decides who is master of a host. The kernel is the only arbiter: a term is a file that can be made once, and whoever made it holds its lock for as long as
// its process lives. The machine says when to look and when to claim; it is pure.
package election

import "github.com/troupe-mq/troupe/patterns/pool/machine/wire"

// State is where a member stands.
type State uint8

// The states of a member.
const (
	Seeking   State = iota // it looks for the highest term
	Claiming               // it has asked for the next term
	Following              // somebody else is master
	Leading                // it is master itself
	Off                    // it has left
)

// String returns the state in one word.
func (s State) String() string {
	return [...]string{"seeking", "claiming", "following", "master", "off"}[s]
}

// Kind is what the host of the machine has to do.
type Kind uint8

// The effects.
const (
	Scan   Kind = iota + 1 // look for the highest term, and say so by Scanned
	Claim                  // make the term's file, locked, and say so by Claimed
	Follow                 // that one is master
	Lead                   // we are
	Resign                 // give up the lock of the own term
)

// Effect is one thing to do.
type Effect struct {
	Kind   Kind
	Term   uint64
	Master wire.Record // with Follow
}

// Seen is the highest term of a run directory.
type Seen struct {
	Term   uint64 // 0: there is none
	Held   bool   // its master holds its lock
	Master wire.Record
}

// Machine is a member's part in the elections of its host. Guests follow and never claim.
type Machine struct {
	Me    wire.MemberID
	Guest bool

	state  State
	term   uint64 // the highest one it knows of
	master wire.Record
}

// Start begins.
func (e *Machine) Start() []Effect { return e.seek() }

func (e *Machine) seek() []Effect {
	e.state = Seeking
	return []Effect{{Kind: Scan}}
}

// Scanned takes in what is in the run directory.
func (e *Machine) Scanned(s Seen) []Effect {
	switch {
	case e.state == Off || e.state == Claiming:
		return nil
	case e.state == Leading:
		if s.Term <= e.term {
			return nil
		}
		// Somebody found our lock free: the run directory was tampered with. The higher term is right.
		resign := Effect{Kind: Resign, Term: e.term}
		return append([]Effect{resign}, e.settle(s)...)
	case e.state == Following && s.Term == e.term && s.Held:
		return nil
	}
	return e.settle(s)
}

func (e *Machine) settle(s Seen) []Effect {
	if s.Term < e.term {
		s = Seen{Term: e.term} // the directory was emptied under us; numbers do not go back
	}
	if s.Held {
		e.state, e.term, e.master = Following, s.Term, s.Master
		return []Effect{{Kind: Follow, Term: s.Term, Master: s.Master}}
	}
	e.state, e.term = Seeking, s.Term
	if e.Guest {
		return nil // it looks again later
	}
	e.state = Claiming
	return []Effect{{Kind: Claim, Term: s.Term + 1}}
}

// Claimed takes in whether the term is ours now.
func (e *Machine) Claimed(term uint64, ours bool) []Effect {
	if e.state != Claiming {
		if ours {
			return []Effect{{Kind: Resign, Term: term}}
		}
		return nil
	}
	if !ours {
		return e.seek()
	}
	e.state, e.term = Leading, term
	return []Effect{{Kind: Lead, Term: term}}
}

// Ended takes in that the master of a term holds it no more.
func (e *Machine) Ended(term uint64) []Effect {
	if e.state != Following || term != e.term {
		return nil
	}
	return e.seek()
}

// Heard takes in a term that somebody on the host speaks of. One that is higher than ours has a master that we do not know yet.
func (e *Machine) Heard(term uint64) []Effect {
	if term <= e.term || e.state != Following && e.state != Leading {
		return nil
	}
	return []Effect{{Kind: Scan}}
}

// Leave ends the member's part. A master gives its term up.
func (e *Machine) Leave() []Effect {
	was := e.state
	e.state = Off
	if was == Leading {
		return []Effect{{Kind: Resign, Term: e.term}}
	}
	return nil
}

// State returns where the member stands.
func (e *Machine) State() State { return e.state }

// Term returns the highest term the member knows of.
func (e *Machine) Term() uint64 { return e.term }

// Master returns who is followed; it is valid while State is Following.
func (e *Machine) Master() wire.Record { return e.master }
