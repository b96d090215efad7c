package machine

import (
	"fmt"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/supervision/why"
)

// Kind says what a host has to do.
type Kind uint8

// The effects of machines.
const (
	Send    Kind = iota + 1 // send Header with Frames to To
	Forward                 // send the frames of Msg under Header to To
	Spawn                   // start the actor of Hit and hand it Msg, its OPEN
	Tell                    // hand Event to the hit with this handle
	Over                    // the hit has ended: tell the broker, free the handle, stop
	Enroll                  // start the actor of Worker for peer To
	Ask                     // hand Event to the actor of Worker
	Report                  // hand Event to the broker
	HangUp                  // end the connection of To; Text says why, and Event the *Why where there is one
	Cut                     // end it as soon as To can have read what was sent to it before; Text says why
	Count                   // count a refusal of this Status
	Sound                   // measure how silent the transport of To is, and tell the broker by Sounded
	Note                    // log Event, a *Why
	Survey                  // list the tree, and send Broker.Tree of it to To under Header
)

// Effect is one thing a host has to do. Which fields mean something depends on Kind.
type Effect struct {
	Kind   Kind
	To     wire.Peer
	Header wire.Header
	Msg    *wire.Message
	Frames [2][]byte // nil frames at the end are left out
	Hit    *Hit
	Worker *Worker
	Event  any
	Text   string
	Status wire.Status
}

// send is an effect with a header and one or two frames.
func send(to wire.Peer, h wire.Header, frames ...[]byte) Effect {
	e := Effect{Kind: Send, To: to, Header: h}
	copy(e.Frames[:], frames)
	return e
}

// refuse answers a message with an ERROR, and counts it. The outcome is never started.
func refuse(fx []Effect, m *wire.Message, s wire.Status, format string, args ...any) []Effect {
	h := m.Header
	flags := h.Flags & wire.Ref
	if h.Type == wire.Open {
		flags |= h.Flags & wire.Last
	}
	e := wire.Header{Type: wire.Error, Flags: flags, Status: s, Hit: h.Hit, Epoch: h.Epoch, Seq: h.Seq, Arg: uint32(wire.NeverStarted)}
	if h.Type == wire.Admin {
		e.Seq = h.Arg // so that the asker knows its request again
	}
	fx = append(fx, Effect{Kind: Count, Status: s})
	if h.Type == wire.Error {
		return fx
	}
	return append(fx, send(m.From, e, []byte(fmt.Sprintf(format, args...))))
}

// unknownHit answers what names a hit that is over, or never was. What can cross the hit's end in good faith gets no ERROR.
func unknownHit(m *wire.Message, fx []Effect) []Effect {
	switch m.Header.Type {
	case wire.Close:
		if m.Header.Flags.Has(wire.Ref) {
			return fx
		}
		head := wire.Header{Type: wire.Closed, Status: wire.UnknownHit, Hit: m.Header.Hit, Epoch: m.Header.Epoch}
		return append(fx, Effect{Kind: Count, Status: wire.UnknownHit},
			send(m.From, head, []byte("the hit is over or never was: there is nothing to close")))
	case wire.Cancel, wire.Ack, wire.Part, wire.Credit:
		return fx
	case wire.Ended:
		return append(fx, Effect{Kind: Count, Status: wire.UnknownHit})
	}
	return refuse(fx, m, wire.UnknownHit, "%v of hit %x, which is over or never was: open another one", m.Header.Type, m.Header.Hit)
}

// Why is the record behind a negative verdict.
type Why = why.Record
