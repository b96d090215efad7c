// Package vote decides whether a silent master is hung, and whether it may be killed: what each member has seen itself, what a majority of them says, and nothing else. It is pure.
package vote

import (
	"fmt"
	"time"
)

// Sample is what the kernel says of a master's process at one moment.
type Sample struct {
	At      time.Duration // by the clock of who looked
	Alive   bool          // the process exists, and began when the record says
	Held    bool          // it holds the lock of its term
	Bound   bool          // its socket is still bound
	Stopped bool          // all its threads are stopped by a signal
	Traced  bool          // a debugger holds it
	Blocked bool          // a thread is in an uninterruptible wait of the kernel's
	Frozen  bool          // its control group is frozen
	Foreign bool          // it lives in another PID namespace: nothing can be said of it, and it cannot be killed
	CPU     time.Duration // that its threads have used
	Waited  time.Duration // that its threads were ready to run and had no processor
}

// Finding is what a judge makes of two samples.
type Finding struct {
	Guilty bool
	Ended  bool   // there is nobody to judge: the term is free
	What   string // stopped, busy, idle; or why the judge abstains
}

// What a guilty master does instead of its work.
const (
	Stopped = "stopped"
	Busy    = "busy"
	Idle    = "idle"
)

// Judge holds two samples of a silent master against each other. It finds guilt only where the master had what it needs to go on and did not.
func Judge(first, last Sample) Finding {
	window := last.At - first.At
	switch waited := last.Waited - first.Waited; {
	case last.Foreign:
		return Finding{What: "abstains: it is in another PID namespace"}
	case !last.Alive:
		return Finding{Ended: true, What: "its process has ended"}
	case !last.Held:
		return Finding{Ended: true, What: "it holds its term no more"}
	case !last.Bound:
		return Finding{What: "abstains: its socket is not bound, it is ending or has not begun"}
	case last.Traced:
		return Finding{What: "abstains: a debugger holds it"}
	case last.Frozen:
		return Finding{What: "abstains: its control group is frozen by somebody"}
	case last.Stopped && first.Stopped:
		return Finding{Guilty: true, What: Stopped}
	case last.Stopped != first.Stopped:
		return Finding{What: "abstains: it was stopped or continued a moment ago"}
	case window <= 0:
		return Finding{What: "abstains: it was looked at once only"}
	case last.Blocked && first.Blocked:
		return Finding{What: "abstains: the kernel lets it wait for a device"}
	case last.CPU-first.CPU > window/2:
		return Finding{Guilty: true, What: Busy}
	case waited > window/2:
		return Finding{What: fmt.Sprintf("abstains: it was ready to run and had no processor for %v of %v", waited.Round(time.Millisecond), window.Round(time.Millisecond))}
	}
	return Finding{Guilty: true, What: Idle}
}

// Majority is how many votes a host with so many living members needs, the master counted: more than half. Of one or two members it is more than there are voters.
func Majority(living int, f Faults) int {
	if f.CountShort {
		return max(living/2, 1)
	}
	return living/2 + 1
}

// Faults make the machine wrong on purpose, for the tests of the tests.
type Faults struct {
	CountShort bool // a vote less than a majority is enough
}
