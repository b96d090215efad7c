package liveness

import "time"

// Verdict is what is wrong with a peer, or with the call that it runs.
type Verdict uint8

// The verdicts, from the mildest to the one that ends all.
const (
	Healthy   Verdict = iota // nothing; as an effect: an earlier verdict is taken back
	SaidError                // it told us so: the call was answered with an error
	Slow                     // the call makes progress, and is over its budget
	Stuck                    // the process is alive, and the call makes no progress
	Frozen                   // the process stands still, or its host is out of reach
	Gone                     // the process or its connection is no more
)

var verdictNames = [...]string{"HEALTHY", "SAID-ERROR", "SLOW", "STUCK", "FROZEN", "GONE"}

// String returns the verdict as records show it.
func (v Verdict) String() string { return verdictNames[v] }

// Kind says what a host has to do.
type Kind uint8

// The effects of the machines.
const (
	Tell Kind = iota + 1 // the verdict is given, or with Healthy taken back
	Look                 // read all that has come, measure how silent the transport is, and say so by Sounded
	Beat                 // send a heartbeat, and say so by BeatSent
)

// Effect is one thing a host has to do.
type Effect struct {
	Kind     Kind
	Verdict  Verdict
	Measured time.Duration // with Tell: how long there has been no sign, or how long the call has run
	Limit    time.Duration // what that was held against
}

// Stamp is a time in ms, modulo 2^32: what is less than 49 days ago is told right. Hosts keep one where a message passes, in place of a step of a
// machine per message.
type Stamp uint32

// StampOf returns the stamp of a time.
func StampOf(now time.Duration) Stamp { return Stamp(now / time.Millisecond) }

// Ago returns how long before now the stamp was made.
func (s Stamp) Ago(now time.Duration) time.Duration {
	return time.Duration(StampOf(now)-s) * time.Millisecond
}
