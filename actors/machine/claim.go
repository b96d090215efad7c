package machine

import (
	"github.com/troupe-mq/troupe/bridge/wire"
)

// claim is what a connection has said behind a READY that waits, since its name is in use: mostly a worker that has come back before its old connection was found to be lost. The
// sessions of the old one end meanwhile, and what it says of its slots must not be lost, or they would be counted as taken for ever.
type claim struct {
	freed   int           // slots of an earlier connection
	busy    int           // that were, as READY says
	changed *wire.Message // its last word on its slots, owning its bytes
	bye     *wire.Message // it leaves
}

// claims notes that the READY of a connection waits. One that insists changes nothing.
func (b *Broker) claim(peer wire.Peer, busy int) {
	if b.claims[peer] == nil {
		b.claims[peer] = &claim{busy: busy}
	}
}

// behind takes a message that came behind a READY that waits, and reports whether it was one.
func (b *Broker) behind(m *wire.Message, fx []Effect) ([]Effect, bool) {
	c := b.claims[m.From]
	if c == nil {
		return fx, false
	}
	switch {
	case m.Header.Type == wire.Changed:
		c.changed = m.Copy()
		return fx, true
	case m.Header.Type == wire.Bye:
		c.bye = m.Copy()
		return fx, true
	case m.Header.Type != wire.Ended || m.Header.Hit != 0:
		return fx, false
	case c.freed == c.busy:
		return refuse(fx, m, wire.BadSeq, noneBusy), true
	}
	c.freed++
	return fx, true
}

// claimed ends a claim; nil if there is none.
func (b *Broker) claimed(peer wire.Peer) *claim {
	c := b.claims[peer]
	delete(b.claims, peer)
	return c
}

// told gives a worker, who is registered at last, what it has said before.
func (c *claim) told(w *Worker, fx []Effect) []Effect {
	if c == nil {
		return fx
	}
	if c.changed != nil {
		fx = append(fx, Effect{Kind: Ask, Worker: w, Event: c.changed})
	}
	if c.bye != nil {
		w.withdraw() // at once: a hit that waits must not go there
		fx = append(fx, Effect{Kind: Ask, Worker: w, Event: c.bye})
	}
	return fx
}

const noneBusy = "ENDED with hit 0, but no slot of an earlier connection is busy: name in READY how many are"
