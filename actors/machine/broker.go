package machine

import (
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/actors/schedule"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// BrokerConfig is what a broker decides by. All fields are set by the host.
type BrokerConfig struct {
	Name        string
	Incarnation string                   // random, 16 hex digits
	MaxBody     int                      // bytes; told in WELCOME
	Heartbeat   time.Duration            // told in WELCOME
	MaxQueue    int                      // OPENs that may wait per service
	MaxWait     time.Duration            // how long one may wait that names no deadline, or a longer one
	MaxCalls    uint32                   // calls under way per hit
	Grace       time.Duration            // how long after its start the broker lets OPENs of services wait that nobody has offered yet
	Ask         time.Duration            // how long a worker may take to answer when its name is claimed
	Admin       bool                     // ADMIN is allowed
	Epoch       uint32                   // first assignment epoch, random
	ActorName   ActorName                // for listings; nil: none
	Counters    func() map[string]uint64 // for status; nil: none
}

// Ports is what a broker needs from its host while it decides.
type Ports interface {
	// Reserve returns a handle never used before, 0 if there are none left.
	Reserve() uint64
	// Free gives a handle up.
	Free(handle uint64)
	// Window grants a peer the window it asks for, in bytes.
	Window(peer wire.Peer, asked int64) int64
}

// Broker is the machine that knows services, workers, clients and hits, and gives hits to workers. It never sees a call.
type Broker struct {
	cfg      BrokerConfig
	ports    Ports
	limits   Limits
	services map[string]*service
	clients  map[wire.Peer]*client
	workers  map[wire.Peer]*Worker
	names    map[string]*Worker
	byHandle map[uint64]*Hit
	all      hits
	waiting  deadlines
	arrivals uint64
	epoch    uint32
	unnamed  int
	draining bool
	totals   Totals
}

// Totals count what a broker has done since its start.
type Totals struct {
	Opened  uint64 `json:"hits_opened"`
	Ended   uint64 `json:"hits_ended"`
	Failed  uint64 `json:"hits_failed"`
	Queued  uint64 `json:"opens_queued"`
	Expired uint64 `json:"opens_expired"`
	Crashed uint64 `json:"hits_crashed"`
	Lost    uint64 `json:"workers_lost"`
}

// client is one connection that has said HELLO.
type client struct {
	peer    wire.Peer
	name    string
	window  int64 // bytes, as granted
	hits    hits
	waiting int  // its OPENs in queues
	left    bool // it has said BYE
}

type service struct {
	name    string
	workers schedule.LeastBusy[*Worker]
	queue   queue
	offered bool // a worker has offered it, now or before
}

// NewBroker returns a broker that knows nobody.
func NewBroker(cfg BrokerConfig, ports Ports) *Broker {
	return &Broker{
		cfg: cfg, ports: ports, limits: Limits{Calls: cfg.MaxCalls}, epoch: cfg.Epoch, services: make(map[string]*service),
		clients: make(map[wire.Peer]*client), workers: make(map[wire.Peer]*Worker), names: make(map[string]*Worker),
		byHandle: make(map[uint64]*Hit), all: hits{which: ofAll},
	}
}

var brokerTable = [256]func(*Broker, time.Duration, *wire.Message, []Effect) []Effect{
	wire.Hello: (*Broker).hello, wire.Open: (*Broker).open, wire.Ready: (*Broker).ready, wire.Bye: (*Broker).bye, wire.Admin: (*Broker).admin,
	wire.Cancel: (*Broker).byRef, wire.Close: (*Broker).byRef, wire.Call: (*Broker).over,
	wire.Pong: (*Broker).fromWorker, wire.Error: (*Broker).fromWorker, wire.Opened: (*Broker).fromWorker,
	wire.Reply: (*Broker).fromWorker, wire.Working: (*Broker).fromWorker, wire.Ended: (*Broker).fromWorker,
}

// Message takes a message that names no hit with an actor.
func (b *Broker) Message(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	if f := brokerTable[m.Header.Type]; f != nil {
		return f(b, now, m, fx)
	}
	return refuse(fx, m, wire.BadType, "%v is not for a broker: see who says what in docs/protocol/hit.md, section 3", m.Header.Type)
}

// fromWorker takes what workers say: one whose actor is not attached yet is heard by it later.
func (b *Broker) fromWorker(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	if w := b.workers[m.From]; w != nil {
		return append(fx, Effect{Kind: Ask, Worker: w, Event: m})
	}
	switch m.Header.Type {
	case wire.Pong:
		return fx
	case wire.Error:
		return append(fx, Effect{Kind: Count, Status: m.Header.Status})
	}
	return unknownHit(m, fx)
}

// hello registers a client. Said again it changes nothing: bytes have been counted against the window by then.
func (b *Broker) hello(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	info, err := wire.ParseHello(m.Frame(0))
	if err != nil {
		return refuse(fx, m, wire.BadFrame, "%v", err)
	}
	c := b.clients[m.From]
	if c == nil {
		c = &client{peer: m.From, name: info.Name, window: b.ports.Window(m.From, info.Window), hits: hits{which: ofClient}}
		b.clients[m.From] = c
	}
	c.left = false
	return append(fx, send(m.From, wire.Header{Type: wire.Welcome}, b.welcome(c.window, c.name)))
}

// welcome is the JSON frame of WELCOME.
func (b *Broker) welcome(window int64, name string) []byte {
	return mustJSON(wire.WelcomeInfo{
		Broker: b.cfg.Name, Incarnation: b.cfg.Incarnation, MaxBody: int64(b.cfg.MaxBody),
		Window: window, HeartbeatMS: b.cfg.Heartbeat.Milliseconds(), Name: name,
	})
}

// bye: a client leaves; its hits are ended.
func (b *Broker) bye(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	c := b.clients[m.From]
	if c == nil {
		if b.workers[m.From] != nil {
			return b.fromWorker(now, m, fx)
		}
		return fx
	}
	return b.leave(c, Why{Verdict: "GONE", Detector: "said", Measured: "the client said BYE"}, fx)
}

// Lose takes the loss of a client's connection.
func (b *Broker) Lose(_ time.Duration, g *wire.PeerGone, fx []Effect) []Effect {
	c := b.clients[g.Peer]
	if c == nil {
		return fx
	}
	delete(b.clients, g.Peer)
	return b.leave(c, Why{Verdict: "GONE", Detector: g.Detector, Measured: g.Detail}, fx)
}

func (b *Broker) leave(c *client, why Why, fx []Effect) []Effect {
	c.left = true
	if c.waiting > 0 {
		b.eachWaiter(func(w *waiter) {
			if w.client == c {
				b.unqueue(w)
			}
		})
	}
	c.hits.each(func(h *Hit) {
		fx = append(fx, Effect{Kind: Tell, Hit: h, Event: &Lost{Why: why}})
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
	return b.failOpen(found.msg, wire.Cancelled, "cancelled by its client while it waited for a slot: open again if that was not meant", fx)
}

// over answers what names a hit that is over, or never was. A CLOSE gets no second answer while the hit's end is just being told.
func (b *Broker) over(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	if h := b.byHandle[m.Header.Hit]; h != nil && !h.orphan && m.Header.Type == wire.Close {
		return fx
	}
	return unknownHit(m, fx)
}

// failOpen answers an OPEN that waited in vain. Nothing of it was started.
func (b *Broker) failOpen(m *wire.Message, s wire.Status, text string, fx []Effect) []Effect {
	b.totals.Failed++
	return refuse(fx, m, s, "%s", text)
}

// Ended takes the end of a hit: its slot is free.
func (b *Broker) Ended(now time.Duration, h *Hit, s wire.Status, fx []Effect) []Effect {
	if b.byHandle[h.Handle] != h {
		return fx
	}
	b.forget(h, s)
	if h.undelivered {
		return b.deaf(now, h.worker, s, fx)
	}
	return b.slotFree(now, h.worker, fx)
}

// forget takes a hit out of all lists and frees its handle.
func (b *Broker) forget(h *Hit, s wire.Status) {
	delete(b.byHandle, h.Handle)
	b.ports.Free(h.Handle)
	b.all.remove(h)
	h.client.hits.remove(h)
	h.worker.hits.remove(h)
	b.totals.Ended++
	if s != wire.OK {
		b.totals.Failed++
	}
}

// Crashed takes the death of a hit's actor: exactly that hit fails. The slot stays taken until the worker has ended the session. What the
// actor has sent before is unknown, so the worker is told all of it; it does no harm twice.
func (b *Broker) Crashed(now time.Duration, handle uint64, what string, fx []Effect) []Effect {
	h := b.byHandle[handle]
	if h == nil || h.orphan {
		return fx
	}
	b.totals.Crashed++
	fx = h.crash(now, what, fx)
	if b.workers[h.Worker] != h.worker {
		b.forget(h, wire.Internal)
		return fx
	}
	h.orphan = true
	return append(fx, send(h.Worker, h.toWorker(wire.Cancel, 0)), send(h.Worker, h.toWorker(wire.End, 0)))
}

// Drain makes the broker take no new hits; those that wait are told. Drained says when the open ones have ended.
func (b *Broker) Drain(fx []Effect) []Effect {
	b.draining = true
	b.eachWaiter(func(w *waiter) {
		b.unqueue(w)
		fx = b.failOpen(w.msg, wire.Draining, "the broker takes no new hits, it is about to stop: open at another one, or later", fx)
	})
	return fx
}

// Drained reports whether a draining broker has no hits left.
func (b *Broker) Drained() bool { return b.draining && b.all.n == 0 }

// Farewell tells every peer that the broker leaves.
func (b *Broker) Farewell(fx []Effect) []Effect {
	for p := range b.clients {
		fx = append(fx, send(p, wire.Header{Type: wire.Bye}))
	}
	for p := range b.workers {
		fx = append(fx, send(p, wire.Header{Type: wire.Bye}))
	}
	return fx
}

// label reads the one option that is the broker's.
func label(options []byte) (string, error) {
	o, err := wire.ParseOptions(options)
	if err == nil && len(o.Label) > wire.MaxName {
		return "", fmt.Errorf("OPEN: label has %d bytes: at most %d are possible", len(o.Label), wire.MaxName)
	}
	return o.Label, err
}
