package machine

import (
	"errors"
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/actors/access"
	"github.com/troupe-mq/troupe/actors/prio"
	"github.com/troupe-mq/troupe/actors/schedule"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/supervision/liveness"
)

// BrokerConfig is what a broker decides by. All fields are set by the host.
type BrokerConfig struct {
	Name        string
	Incarnation string                             // random, 16 hex digits
	MaxBody     int                                // bytes; told in WELCOME
	Heartbeat   time.Duration                      // told in WELCOME
	MaxQueue    int                                // OPENs that may wait per service
	MaxWait     time.Duration                      // how long one may wait that names no deadline, or a longer one
	MaxCalls    uint32                             // calls under way per hit
	MaxResume   time.Duration                      // how long a hit is kept without its client, at most; 0: not at all
	MinWorkers  func(service string) int           // how many workers a service is to have before anything of it is given out; nil: one
	MaxKeep     time.Duration                      // how long the answer of a task with an id is kept, at most
	KeepMemory  int                                // bytes of such answers, all together
	MaxTasks    int                                // tasks with ids, under way and kept
	MaxKept     int                                // bytes of answers kept per hit that were not acknowledged
	Silence     time.Duration                      // a silence of a connection longer than this is noticed; told in VITALS
	Judges      bool                               // it gives FROZEN and STUCK by its own pulse
	Stuck       time.Duration                      // how long a call may give no sign that has asked for no more; 0: for ever
	Grace       time.Duration                      // how long after its start the broker lets OPENs of services wait that nobody has offered yet
	Ask         time.Duration                      // how long a worker may take to answer when its name is claimed
	Admin       bool                               // ADMIN is allowed
	Epoch       uint32                             // first assignment epoch, random
	Policy      func(service string) schedule.Name // which worker is next; nil: the least busy
	Pick        func(n int) int                    // a random number from 0 to n-1, for policies that want one
	Repair      func(service string) string        // what is done about a call whose worker fails it, for a service: tell, fail, restart; empty, or nil: as its worker says
	MaxMoves    int                                // how often a hit may go to another worker; 0: never
	MoveHit     int                                // bytes kept per hit, so that it can
	MoveAll     int                                // bytes kept for all hits together
	Lease       time.Duration                      // how long a worker may serve direct hits without hearing from the broker
	Token       func() [TokenSize]byte             // makes tokens of direct hits; nil: there are none
	ActorName   ActorName                          // for listings; nil: none
	Counters    func() map[string]uint64           // for status; nil: none
	Book        *access.Book                       // who may what, by key; nil: everybody may everything (ADMIN: as Admin says)
	User        func(wire.Peer) string             // the public key, in Z85, that a peer has proved to have; empty: a peer of this machine, whose rights are not judged
}

// Ports is what a broker needs from its host while it decides.
type Ports interface {
	// Reserve returns a handle never used before, 0 if there are none left.
	Reserve() uint64
	// Free gives a handle up.
	Free(handle uint64)
	// Window grants a peer the window it asks for, in bytes.
	Window(peer wire.Peer, asked int64) int64
	// Key returns a fresh random session key.
	Key() Key
}

// Broker is the machine that knows services, workers, clients and hits, and gives hits to workers. It never sees a call.
type Broker struct {
	cfg       BrokerConfig
	ports     Ports
	limits    Limits
	services  map[string]*service
	clients   map[wire.Peer]*client
	workers   map[wire.Peer]*Worker
	names     map[string]*Worker
	byHandle  map[uint64]*Hit
	all       hits
	waiting   prio.Queue[*waiter] // by deadline
	verdicts  []verdict
	judge     liveness.Judge
	lines     prio.Queue[*line] // connections that are judged
	glances   time.Duration     // how often calls are looked at
	glanced   time.Duration     // when they were last
	adrift    drifters          // hits without a client, and graves
	graves    map[uint64]*Hit   // hits that have ended, of which the client may still have to be told
	nobody    client            // has the hits that are adrift
	limbo     Worker            // has the hits that are on their way to another worker
	moves     movers            // those hits, as they wait for it
	arrivals  uint64
	viewed    uint64 // OPENs with a target
	selectors int    // views of selectors
	enrolled  uint32 // registrations so far
	jobs      []*job
	jobAt     time.Duration               // when they go on, 0: there are none
	tasks     book                        // those with ids
	keys      *schedule.Affinity[*Worker] // who had a key last
	claims    map[wire.Peer]*claim        // of connections whose READY waits
	epoch     uint32
	unnamed   int
	draining  bool
	moved     moved
	surveys   []survey // asked, in order
	surveyed  uint32   // how many were
	totals    Totals
	access    AccessTotals
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

	Resumed   uint64 `json:"hits_resumed"`
	Abandoned uint64 `json:"hits_abandoned"` // nobody took them up in time
	Grown     uint64 `json:"slots_grown"`    // made because a hit found none free
	Retired   uint64 `json:"slots_retired"`  // given up by their workers, or to hits of other brokers
	Taken     uint64 `json:"slots_taken"`    // hits that came too late for their slot

	Removed   uint64 `json:"opens_removed"`   // from queues, by operators
	Tasks     uint64 `json:"tasks_answered"`  // of those with ids
	Again     uint64 `json:"tasks_asked"`     // again, by a submission with an id that is known, or by who has come back
	Forgotten uint64 `json:"tasks_forgotten"` // answers that were kept long enough, or had to make room

	Moved   uint64 `json:"hits_moved"`   // to another worker
	Unmoved uint64 `json:"hits_unmoved"` // for which there was none in time
}

type service struct {
	held      bool           // nothing is given out
	wants     int            // how many workers there are to be before anything is
	topics    map[string]int // of those that wait
	key       string         // wayKey
	name      string
	workers   schedule.Policy[*Worker]
	queue     queue
	offered   bool       // a worker has offered it, now or before
	view      *view      // of some of the workers of another record; nil: it is that of all
	views     []*service // of this one
	elsewhere int        // OPENs that wait in those
}

// NewBroker returns a broker that knows nobody.
func NewBroker(cfg BrokerConfig, ports Ports) *Broker {
	b := &Broker{
		cfg: cfg, ports: ports, limits: Limits{Calls: cfg.MaxCalls, Silence: cfg.Silence, moves: cfg.MaxMoves, redoHit: cfg.MoveHit, redo: cfg.MoveAll}, epoch: cfg.Epoch, services: make(map[string]*service),
		clients: make(map[wire.Peer]*client), workers: make(map[wire.Peer]*Worker), names: make(map[string]*Worker), claims: make(map[wire.Peer]*claim),
		byHandle: make(map[uint64]*Hit), all: hits{which: ofAll}, nobody: client{hits: hits{which: ofClient}}, limbo: Worker{hits: hits{which: ofWorker}}, moves: newMovers(), waiting: newDeadlines(), lines: newLines(), adrift: newDrifters(),
		tasks: newBook(), keys: schedule.NewAffinity[*Worker](maxKeys),
	}
	b.beginJudging()
	return b
}

var brokerTable = [256]func(*Broker, time.Duration, *wire.Message, []Effect) []Effect{
	wire.Hello: (*Broker).hello, wire.Open: (*Broker).open, wire.Ready: (*Broker).ready, wire.Bye: (*Broker).bye, wire.Admin: (*Broker).admin,
	wire.Resume: (*Broker).resume, wire.Detach: (*Broker).detach, wire.Ack: (*Broker).lateAck, wire.Probe: (*Broker).probe,
	wire.Cancel: (*Broker).byRef, wire.Close: (*Broker).byRef, wire.Call: (*Broker).over, wire.Part: (*Broker).over, wire.Credit: (*Broker).over,
	wire.Pong: (*Broker).fromWorker, wire.Error: (*Broker).fromWorker, wire.Opened: (*Broker).fromWorker,
	wire.Reply: (*Broker).fromWorker, wire.Working: (*Broker).fromWorker, wire.Ended: (*Broker).fromWorker,
	wire.Renew: (*Broker).fromWorker, wire.Tally: (*Broker).fromWorker, wire.Changed: (*Broker).fromWorker, wire.Vitals: (*Broker).fromWorker, wire.Hold: (*Broker).fromWorker,
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
	if fx, taken := b.behind(m, fx); taken {
		return fx
	}
	switch m.Header.Type {
	case wire.Pong:
		return fx
	case wire.Error:
		return append(fx, Effect{Kind: Count, Status: m.Header.Status})
	}
	return unknownHit(m, fx)
}

// over answers what names a hit that is over, or never was. A CLOSE gets no second answer while the hit's end is just being told.
func (b *Broker) over(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	if h := b.byHandle[m.Header.Hit]; h != nil && !h.orphan && m.Header.Type == wire.Close {
		return fx
	}
	return unknownHit(m, fx)
}

// failOpen answers an OPEN that waited in vain, and was taken out of its queue. Nothing of it was started. why is the record behind it, nil where there is none.
func (b *Broker) failOpen(now time.Duration, w *waiter, s wire.Status, text string, why []byte, fx []Effect) []Effect {
	b.totals.Failed++
	if w.task != nil {
		return b.taskFailed(now, w.task, s, text, why, fx)
	}
	fx = refuse(fx, w.msg, s, "%s", text)
	if why != nil {
		fx[len(fx)-1].Frames[1] = why
	}
	return fx
}

// Ended takes the end of a hit: its slot is free.
func (b *Broker) Ended(now time.Duration, h *Hit, s wire.Status, fx []Effect) []Effect {
	if b.byHandle[h.Handle] != h {
		return fx
	}
	w := h.worker
	b.forget(now, h, s)
	if t := h.task(); t != nil && t.done == nil { // what it has told came before
		fx = b.taskFailed(now, t, wire.Internal, "the hit of the task ended without an answer: submit it again, and report it as a defect", nil, fx)
	}
	if w == &b.limbo {
		return fx
	}
	if s == wire.SlotTaken {
		b.slotTaken(h, w)
	}
	if h.undelivered {
		return b.deaf(now, w, s, fx)
	}
	return b.slotFree(now, w, fx)
}

// forget takes a hit out of all lists and frees its handle.
func (b *Broker) forget(now time.Duration, h *Hit, s wire.Status) {
	delete(b.byHandle, h.Handle)
	h.unwatch()
	b.forgetMove(h)
	b.ports.Free(h.Handle)
	b.all.remove(h)
	h.names.ended++
	h.names.held += now - h.Opened
	h.client.hits.remove(h)
	h.worker.hits.remove(h)
	b.bury(now, h)
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
	moving := h.State == Moving
	fx = h.crash(now, what, fx)
	if moving {
		return b.crashedMoving(now, h, fx)
	}
	if b.workers[h.Worker] != h.worker {
		b.forget(now, h, wire.Internal)
		return fx
	}
	h.orphan = true
	return append(fx, send(h.Worker, h.toWorker(wire.Cancel, 0)), send(h.Worker, h.toWorker(wire.End, 0)))
}

// Drain makes the broker take no new hits; those that wait are told. Drained says when the open ones have ended.
func (b *Broker) Drain(now time.Duration, fx []Effect) []Effect {
	if !b.draining {
		b.event(now, Event{Kind: BrokerDrains, Text: "the broker takes no new hits"})
	}
	b.draining = true
	b.eachWaiter(func(w *waiter) {
		b.unqueue(w)
		fx = b.failOpen(now, w, wire.Draining, "the broker takes no new hits, it is about to stop: open at another one, or later", nil, fx)
	})
	return fx
}

// Drained reports whether a draining broker has no hits left.
func (b *Broker) Drained() bool { return b.draining && b.all.n == 0 }

// Farewell tells every peer that the broker leaves. Nothing is given out any more: who waits learns from BYE that it is in vain.
func (b *Broker) Farewell(fx []Effect) []Effect {
	b.draining = true
	b.eachWaiter(b.unqueue)
	for p := range b.clients {
		fx = append(fx, send(p, wire.Header{Type: wire.Bye}))
	}
	for p := range b.workers {
		fx = append(fx, send(p, wire.Header{Type: wire.Bye}))
	}
	return fx
}

// optionsOf reads the options that are the broker's.
func optionsOf(m *wire.Message) (options, error) {
	o, err := wire.ParseOptions(m.Frame(1))
	switch {
	case err != nil:
	case len(o.Label) > wire.MaxName:
		err = fmt.Errorf("OPEN: label has %d bytes: at most %d are possible", len(o.Label), wire.MaxName)
	case o.ResumeMS < 0 || o.ResumeMS > maxResumeMS:
		err = fmt.Errorf("OPEN: resume_ms is %d: from 0 to %d are possible", o.ResumeMS, maxResumeMS)
	case o.ResumeMS > 0 && m.Header.Flags.Has(wire.Last):
		err = errors.New("OPEN: resume_ms of a one-shot, which has no handle to resume: open a hit, or leave it out")
	case o.ResumeMS > 0 && m.Header.Flags.Has(wire.Direct):
		err = errors.New("OPEN: resume_ms with the flag direct: a direct hit cannot be resumed, leave one of the two out")
	}
	return options{o.Label, time.Duration(o.ResumeMS) * time.Millisecond, o.Target, o.Task, nil}, err
}

// maxResumeMS keeps what a client asks for far from any overflow: 24 hours.
const maxResumeMS = 24 * 3600 * 1000
