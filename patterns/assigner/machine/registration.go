package machine

import (
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// State is where a peer stands with its broker.
type State uint8

// The states of a registration.
const (
	Greeting State = iota // HELLO or READY is sent, no answer yet
	Welcomed              // registered
	Waiting               // to be tried again at the deadline
	Refused               // for ever: the reason is fatal
)

// String returns the state in one word.
func (s State) String() string { return [...]string{"greeting", "welcomed", "waiting", "refused"}[s] }

// Action is what the host has to do, in order.
type Action uint8

// The actions of a registration.
const (
	Greet  Action = iota + 1 // send HELLO or READY on the present connection
	Usable                   // hits can be opened from now on
	Lost                     // hits of the connection before are void
	Reopen                   // replace the connection by a fresh one
	Fail                     // give up: Reason says why
)

// Registration is the machine of one connection to a broker, for clients and workers alike (hit.md, section 6).
type Registration struct {
	State       State
	Incarnation string // of the broker
	Reason      string // of the last refusal or loss, in words
	Status      wire.Status
	Retry       time.Duration // between attempts that a broker refused; default 250 ms
	deadline    time.Duration
	leaving     bool
}

// Start greets a fresh connection.
func (r *Registration) Start() []Action {
	if r.Retry == 0 {
		r.Retry = 250 * time.Millisecond
	}
	r.State = Greeting
	return []Action{Greet}
}

// Welcome takes WELCOME.
func (r *Registration) Welcome(w wire.WelcomeInfo) []Action {
	if r.State == Refused {
		return nil
	}
	again := r.State == Welcomed
	changed := r.Incarnation != "" && r.Incarnation != w.Incarnation
	r.Incarnation, r.State, r.deadline, r.leaving = w.Incarnation, Welcomed, 0, false
	switch {
	case again && !changed:
		return nil
	case again:
		return []Action{Lost, Usable}
	}
	return []Action{Usable}
}

// Refuse takes an ERROR about the registration itself.
func (r *Registration) Refuse(now time.Duration, s wire.Status, text string) []Action {
	switch s {
	case wire.NotRegistered: // the broker has been restarted behind a connection that lives
		if r.State != Welcomed {
			return nil // READY or HELLO is on its way
		}
		r.Reason, r.State = text, Greeting
		return []Action{Lost, Greet}
	case wire.Draining:
		if r.State != Greeting {
			return nil
		}
		r.Reason = text
		return r.wait(now)
	case wire.NameTaken, wire.BadFrame, wire.BadVersion, wire.BadType, wire.BadFlag, wire.BadIdentity, wire.TooLarge, wire.Refused:
		if r.State != Greeting {
			return nil
		}
		r.Reason, r.Status, r.State = text, s, Refused
		return []Action{Fail}
	}
	return nil
}

func (r *Registration) wait(now time.Duration) []Action {
	r.State, r.deadline = Waiting, now+r.Retry
	return nil
}

// Gone takes the loss of the connection; the bridge has made a fresh one.
func (r *Registration) Gone(detail string) []Action {
	if r.State == Refused {
		return nil
	}
	r.Reason, r.State, r.deadline, r.leaving = detail, Greeting, 0, false
	return []Action{Lost, Greet}
}

// Bye takes that the broker leaves. Where its end cannot be seen (inproc), the connection is replaced after a while.
func (r *Registration) Bye(now time.Duration) []Action {
	if r.State == Refused || r.leaving {
		return nil
	}
	r.Reason, r.leaving = "the broker said BYE", true
	lost := r.State == Welcomed
	r.wait(now)
	if lost {
		return []Action{Lost}
	}
	return nil
}

// Deadline says when Tick wants to be called, 0 for never.
func (r *Registration) Deadline() time.Duration { return r.deadline }

// Tick tries again.
func (r *Registration) Tick(now time.Duration) []Action {
	if r.deadline == 0 || now < r.deadline {
		return nil
	}
	r.deadline = 0
	if r.leaving {
		r.leaving = false
		return []Action{Reopen}
	}
	r.State = Greeting
	return []Action{Greet}
}
