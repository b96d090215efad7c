package liveness

import "time"

// State is where a Peer stands.
type State uint8

// The states of a peer.
const (
	Away    State = iota // there is no connection yet
	Well                 // there are signs of life
	Doubted              // there have been none for too long, and the host looks once more
	Stopped              // FROZEN is given
	Over                 // GONE is given
	states
)

// String returns the state in one word.
func (s State) String() string { return [...]string{"away", "well", "doubted", "frozen", "gone"}[s] }

// Peer is the machine of one connection. The zero value is away; Silence is required.
type Peer struct {
	// Silence is how long the peer may give no sign; 0: for ever.
	Silence time.Duration
	// Beat is how often to send it a heartbeat; 0: the transport does so.
	Beat time.Duration

	state     State
	heard     time.Duration // its last sign
	next      time.Duration // when to look, or to beat, next; 0: never
	beats     time.Duration // when the next heartbeat is due
	sent, got uint64
	coarse    bool
}

// Step takes an event.
func (p *Peer) Step(now time.Duration, e Event, fx []Effect) []Effect {
	if step := peerTable[p.state][e.What]; step != nil {
		fx = step(p, now, e, fx)
	}
	return fx
}

type peerStep func(*Peer, time.Duration, Event, []Effect) []Effect

// peerTable is the state table of docs/liveness.md. What is left out has no effect.
var peerTable = [states][whats]peerStep{
	Away: {
		Met: (*Peer).meet, Heard: (*Peer).meet, Lost: (*Peer).lost, Refused: (*Peer).lost, Lengthened: (*Peer).lengthen,
	},
	Well: {
		Heard: (*Peer).hear, BeatGot: (*Peer).beatGot, BeatSent: (*Peer).beatSent, Sounded: (*Peer).sounded, Lost: (*Peer).lost, Refused: (*Peer).lost,
		Met: (*Peer).meet, Lengthened: (*Peer).lengthen, Ran: (*Peer).ran,
	},
	Doubted: {
		Heard: (*Peer).hear, BeatGot: (*Peer).beatGot, BeatSent: (*Peer).beatSent, Sounded: (*Peer).sounded, Lost: (*Peer).lost, Refused: (*Peer).lost,
		Lengthened: (*Peer).lengthen, Ran: (*Peer).ran,
	},
	Stopped: {
		Met: (*Peer).meet, Heard: (*Peer).thaw, BeatGot: (*Peer).thaw, BeatSent: (*Peer).beatSent, Lost: (*Peer).leave, Refused: (*Peer).leave,
		Lengthened: (*Peer).lengthen,
	},
	Over: {
		Met: (*Peer).meet, Lengthened: (*Peer).lengthen,
	},
}

// meet begins a connection: nothing of an earlier one counts.
func (p *Peer) meet(now time.Duration, _ Event, fx []Effect) []Effect {
	p.state, p.heard, p.beats = Well, now, now+p.Beat
	p.sent, p.got = 0, 0
	p.plan(now, p.heard)
	return fx
}

func (p *Peer) hear(now time.Duration, _ Event, fx []Effect) []Effect {
	p.state, p.heard = Well, now
	p.plan(now, now)
	return fx
}

func (p *Peer) beatGot(now time.Duration, e Event, fx []Effect) []Effect {
	p.got++
	return p.hear(now, e, fx)
}

func (p *Peer) beatSent(now time.Duration, _ Event, fx []Effect) []Effect {
	p.sent++
	p.beats = now + p.Beat
	return fx
}

// thaw: a peer that was given up speaks after all.
func (p *Peer) thaw(now time.Duration, e Event, fx []Effect) []Effect {
	silent := now - p.heard
	if e.What == BeatGot {
		p.got++
	}
	fx = append(fx, Effect{Kind: Tell, Verdict: Healthy, Measured: silent, Limit: p.Silence})
	return p.hear(now, e, fx)
}

// lengthen takes a longer limit, never a shorter one.
func (p *Peer) lengthen(now time.Duration, e Event, fx []Effect) []Effect {
	if p.Silence > 0 && e.Limit > p.Silence {
		p.Silence = e.Limit
		if p.state == Well || p.state == Doubted {
			p.plan(now, p.heard)
		}
	}
	return fx
}

func (p *Peer) lost(now time.Duration, _ Event, fx []Effect) []Effect {
	p.leave(now, Event{}, nil)
	return append(fx, Effect{Kind: Tell, Verdict: Gone, Measured: now - p.heard, Limit: p.Silence})
}

// leave ends the connection of a peer that has its verdict already.
func (p *Peer) leave(_ time.Duration, _ Event, fx []Effect) []Effect {
	p.state, p.next = Over, 0
	return fx
}

// ran beats, and looks at a peer that is due.
func (p *Peer) ran(now time.Duration, e Event, fx []Effect) []Effect {
	if p.Beat > 0 && now >= p.beats {
		fx = append(fx, Effect{Kind: Beat})
	}
	from := max(p.heard, e.Since)
	due := p.Silence > 0 && now-from >= p.Silence
	switch {
	case due:
		p.state = Doubted
		fx = append(fx, Effect{Kind: Look})
	case p.coarse && now >= p.next && p.Silence > 0:
		fx = append(fx, Effect{Kind: Look})
	case !p.coarse:
		p.plan(now, from)
	}
	return fx
}

// sounded takes what the host has seen of the transport.
func (p *Peer) sounded(now time.Duration, e Event, fx []Effect) []Effect {
	p.coarse = e.Coarse
	at := now - e.Silent
	if !e.Known {
		at = now // nothing can be said against it
	}
	p.heard = max(p.heard, at)
	from := max(p.heard, e.Since)
	if p.Silence > 0 && now-from >= p.Silence {
		p.state, p.next = Stopped, 0
		return append(fx, Effect{Kind: Tell, Verdict: Frozen, Measured: now - from, Limit: p.Silence})
	}
	p.state = Well
	p.plan(now, from)
	return fx
}

// coarseLooks is how often within the limit a transport is looked at that remembers nothing.
const coarseLooks = 12

// plan sets the deadline.
func (p *Peer) plan(now, from time.Duration) {
	p.next = 0
	if p.Silence > 0 {
		p.next = from + p.Silence
		if p.coarse {
			p.next = min(p.next, now+p.Silence/coarseLooks)
		}
	}
}

// Deadline says when Ran has something to do, 0 for never.
func (p *Peer) Deadline() time.Duration {
	if p.Beat > 0 && (p.state == Well || p.state == Doubted) && (p.next == 0 || p.beats < p.next) {
		return p.beats
	}
	return p.next
}

// State returns where the peer stands.
func (p *Peer) State() State { return p.state }

// Heard returns when the peer gave its last sign, as far as anybody has looked.
func (p *Peer) Heard() time.Duration { return p.heard }

// Beats returns how many heartbeats were sent to the peer and came from it since they met.
func (p *Peer) Beats() (sent, got uint64) { return p.sent, p.got }
