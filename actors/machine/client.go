package machine

import (
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/supervision/liveness"
)

// client is one connection that has said HELLO.
type client struct {
	peer    wire.Peer
	name    string
	user    string // its public key; see BrokerConfig.User
	window  int64  // bytes, as granted
	hits    hits
	waiting int              // its OPENs in queues
	asks    map[uint64]*task // that it waits for, by its references
	left    bool             // it has said BYE
	line    *line            // its connection, as the broker judges it; nil: it promises no heartbeats
}

// hello registers a client. Said again it changes nothing: bytes have been counted against the window by then.
func (b *Broker) hello(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	info, err := wire.ParseHello(m.Frame(0))
	if err != nil {
		return refuse(fx, m, wire.BadFrame, "%v", err)
	}
	if err := b.mayEnter(m.From); err != nil {
		return refuse(fx, m, wire.Refused, "%v", err)
	}
	if m.Header.Flags.Has(wire.Direct) || info.Token != "" {
		return refuse(fx, m, wire.BadFlag, "HELLO with the flag direct or a token: those are for the worker's endpoint that OPENED names, say HELLO without them here")
	}
	c := b.clients[m.From]
	if c == nil {
		c = &client{peer: m.From, name: info.Name, user: b.userOf(m.From), window: b.ports.Window(m.From, info.Window), hits: hits{which: ofClient}}
		b.clients[m.From] = c
		if beat := time.Duration(info.BeatMS) * time.Millisecond; beat > 0 {
			c.line = b.judgeLine(now, &line{to: m.From, client: c}, 3*beat)
		}
	}
	c.left = false
	welcome := b.welcome(c.window, c.name)
	welcome.MaxResumeMS = b.cfg.MaxResume.Milliseconds()
	fx = append(fx, send(m.From, wire.Header{Type: wire.Welcome}, mustJSON(welcome)))
	return elsewhere(m.From, b.moved.clients, fx)
}

// welcome is what WELCOME says to everybody.
func (b *Broker) welcome(window int64, name string) wire.WelcomeInfo {
	return wire.WelcomeInfo{
		Broker: b.cfg.Name, Incarnation: b.cfg.Incarnation, MaxBody: int64(b.cfg.MaxBody),
		Window: window, HeartbeatMS: b.cfg.Heartbeat.Milliseconds(), Name: name,
	}
}

// bye: a client leaves; its hits are ended.
func (b *Broker) bye(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	c := b.clients[m.From]
	if c == nil {
		if b.workers[m.From] != nil {
			return b.fromWorker(now, m, fx)
		}
		fx, _ = b.behind(m, fx)
		return fx
	}
	return b.leave(now, c, Why{Verdict: "GONE", Detector: "said", Measured: "the client said BYE"}, true, fx)
}

// Lose takes the loss of a client's connection.
func (b *Broker) Lose(now time.Duration, g *wire.PeerGone, fx []Effect) []Effect {
	c := b.clients[g.Peer]
	if c == nil {
		b.claimed(g.Peer)
		return fx
	}
	delete(b.clients, g.Peer)
	y := (&line{client: c, since: now}).lost(now, g)
	if c.line != nil {
		b.lines.Remove(c.line)
		y = c.line.lost(now, g)
	}
	y.Done = "its hits are ended, but for those that are kept for it"
	if !c.left && (c.hits.n > 0 || c.waiting > 0 || y.Verdict != liveness.Gone.String()) { // who has said BYE may go
		fx = append(b.record(y, fx), Effect{Kind: Note, Event: &y})
	}
	return b.leave(now, c, y, false, fx)
}

// leave takes the end of a client. For good, it ends its hits; else some may be kept for it.
func (b *Broker) leave(now time.Duration, c *client, why Why, final bool, fx []Effect) []Effect {
	c.left = true
	c.unask()
	if c.waiting > 0 {
		b.eachWaiter(func(w *waiter) {
			if w.client == c {
				b.unqueue(w)
			}
		})
	}
	c.hits.each(func(h *Hit) {
		if h.keep != nil && !final {
			fx = b.drift(now, h, why, fx)
			return
		}
		fx = append(fx, Effect{Kind: Tell, Hit: h, Event: &Lost{Why: why, Final: final}})
	})
	return fx
}

// eachWaiter calls f for every OPEN that waits; f may take it out.
func (b *Broker) eachWaiter(f func(*waiter)) {
	for _, s := range b.services {
		s.queue.each(f)
	}
}

// byRef finds the open under way that a client names by its reference, the latest first. There is none if its answer is on the way
// already; that is the answer to this, too.
func (b *Broker) byRef(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	c := b.clients[m.From]
	if !m.Header.Flags.Has(wire.Ref) || c == nil {
		return b.over(now, m, fx)
	}
	if t := c.asks[m.Header.Hit]; t != nil {
		return b.cancelTask(now, t, "its client", fx)
	}
	for h := c.hits.last; h != nil; h = h.links[ofClient].prev {
		if h.Ref == m.Header.Hit && h.Client != 0 && (h.OneShot || !h.hears) {
			return append(fx, Effect{Kind: Tell, Hit: h, Event: m})
		}
	}
	if c.waiting == 0 {
		return fx
	}
	var found *waiter
	b.eachWaiter(func(w *waiter) {
		if w.client == c && w.msg.Header.Hit == m.Header.Hit && (found == nil || w.order > found.order) {
			found = w
		}
	})
	if found == nil {
		return fx
	}
	b.unqueue(found)
	return b.failOpen(now, found, wire.Cancelled, "cancelled by its client while it waited for a slot: open again if that was not meant", nil, fx)
}
