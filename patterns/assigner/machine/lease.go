package machine

import "time"

// Lease is the machine of a worker's right to serve direct hits: it lasts for a time from when the worker asked for it, which is before the broker has
// granted it. So it is over here before the broker takes it for over, whatever delays the messages, and however long either of the two stood still.
type Lease struct {
	Length time.Duration // what the broker grants at a time; 0: nothing
	until  time.Duration // it holds up to then
	next   time.Duration // when to ask again, 0: no direct hits
	asked  [leasesAsked]asking
	nonce  uint32
}

// leasesAsked is how many answers may be outstanding: more than are ever asked for within a lease.
const leasesAsked = 8

type asking struct {
	nonce uint32
	at    time.Duration
	open  bool
}

// LeaseAction is what the host has to do about a lease.
type LeaseAction uint8

// The actions of a lease.
const (
	Renew   LeaseAction = iota + 1 // send RENEW with Nonce
	Expired                        // end all direct hits
)

// Begin takes the first direct hit, or another one: from now on the lease is renewed. What little may be left of a lease of earlier hits is given up,
// so that its end is not taken for that of this hit, which waits for the next LEASE.
func (l *Lease) Begin(now time.Duration) []LeaseAction {
	if l.next > 0 || l.Length <= 0 {
		return nil
	}
	if l.until-now < l.Length/3 {
		l.until = 0
	}
	return l.ask(now)
}

// Rest takes the end of the last direct hit.
func (l *Lease) Rest() { l.next = 0 }

// Lose takes the loss of the connection to the broker: nothing that was asked there is answered any more. What was granted holds.
func (l *Lease) Lose() { l.asked, l.next = [leasesAsked]asking{}, 0 }

// Nonce is the arg of the RENEW to be sent.
func (l *Lease) Nonce() uint32 { return l.nonce }

func (l *Lease) ask(now time.Duration) []LeaseAction {
	l.nonce++
	l.asked[l.nonce%leasesAsked] = asking{l.nonce, now, true}
	l.next = now + l.Length/3
	return []LeaseAction{Renew}
}

// Granted takes LEASE and reports whether it prolonged the lease: an answer that nothing was asked for, or that comes twice or too late, does not.
func (l *Lease) Granted(now time.Duration, nonce uint32) bool {
	a := &l.asked[nonce%leasesAsked]
	if !a.open || a.nonce != nonce {
		return false
	}
	a.open = false
	if until := a.at + l.Length; until > max(l.until, now) {
		l.until = until
		return true
	}
	return false
}

// Holds reports whether direct hits may be served.
func (l *Lease) Holds(now time.Duration) bool { return now < l.until }

// Until says up to when direct hits may be served.
func (l *Lease) Until() time.Duration { return l.until }

// Deadline says when Tick wants to be called, 0 for never.
func (l *Lease) Deadline(now time.Duration) time.Duration {
	if l.next == 0 {
		return 0
	}
	if l.Holds(now) {
		return min(l.next, l.until)
	}
	return l.next
}

// Tick asks again when it is time, and says so when the lease is over. One that was never granted is not over.
func (l *Lease) Tick(now time.Duration) []LeaseAction {
	if l.next == 0 {
		return nil
	}
	var actions []LeaseAction
	if l.until > 0 && !l.Holds(now) {
		l.until = 0
		actions = append(actions, Expired)
	}
	if now >= l.next {
		actions = append(actions, l.ask(now)...)
	}
	return actions
}
