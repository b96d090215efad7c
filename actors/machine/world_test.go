package machine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// world is a broker among clients and workers that do as chance has it: honest ones, whose every answer is checked, and wild ones that say
// anything HIT/1 can express. What is under way lies in queues, one for each direction of each connection and one for each actor, and chance
// picks which of them moves.
type world struct {
	*stage
	rt      *rapid.T
	t       require.TestingT
	cfg     machine.BrokerConfig
	clients []*player
	workers []*servant
	ran     map[string]bool     // calls that a service ran, by their body
	denied  map[string]bool     // calls of which a client was told that they never started
	crashed map[uint64]bool     // hits whose actor was made to crash
	handles map[uint64][]uint32 // those that a BEGIN has named, with its epochs
	twice   map[string]bool     // calls that may run more than once
	lies    map[openKey]bool    // OPENs whose hit is at a wild worker
	arrived map[openKey]int     // when the broker took an OPEN, -1 for a reference used twice
	order   int
	calls   int  // so far, for their bodies
	calm    bool // the end: no more accidents
}

// plain leaves out rapid's Helper, which looks at the stack each time.
type plain struct{ t *rapid.T }

// Errorf is testify's.
func (p plain) Errorf(format string, args ...any) { p.t.Errorf(format, args...) }

// FailNow is testify's.
func (p plain) FailNow() { p.t.FailNow() }

type openKey struct {
	from wire.Peer
	ref  uint64
}

var offers = []string{"a", "b"}

func newWorld(t *rapid.T) *world {
	cfg := config()
	cfg.MaxQueue = rapid.IntRange(0, 3).Draw(t, "most waiting")
	cfg.MaxKept = []int{0, 100, 1000}[rapid.IntRange(0, 2).Draw(t, "most kept")]
	cfg.MaxCalls = uint32(rapid.IntRange(1, 3).Draw(t, "most calls"))
	repair := []string{"", "restart"}[rapid.IntRange(0, 1).Draw(t, "repair")]
	cfg.Repair, cfg.MaxMoves = func(string) string { return repair }, rapid.IntRange(0, 3).Draw(t, "most moves")
	cfg.MoveHit, cfg.MoveAll = []int{40, 150, 10_000}[rapid.IntRange(0, 2).Draw(t, "kept per hit")], []int{300, 10_000}[rapid.IntRange(0, 1).Draw(t, "kept in all")]
	w := &world{
		rt: t, t: plain{t}, cfg: cfg, ran: map[string]bool{}, denied: map[string]bool{}, crashed: map[uint64]bool{}, handles: map[uint64][]uint32{}, twice: map[string]bool{},
		arrived: map[openKey]int{}, lies: map[openKey]bool{},
	}
	w.stage = newStage(w.t, cfg)
	if rapid.Bool().Draw(t, "just started") {
		w.now = time.Second
	}
	w.onSpawn, w.onMove, w.trace = w.spawned, w.moved, t.Logf
	w.onStray = func(l *link) {
		require.False(w.t, l.settled, "an effect for peer %d, which has long been gone", l.ref)
	}
	return w
}

func (w *world) draw(n int, label string) int { return rapid.IntRange(0, n-1).Draw(w.rt, label) }

// chance is true once in n times; it shrinks to false.
func (w *world) chance(n int, label string) bool { return w.draw(n, label) == n-1 }

// turn lets the actor with the number of those that have something to do handle one event.
func (w *world) turn() bool {
	var busy []*node
	for _, n := range w.nodes {
		if len(n.box) > 0 || !n.up {
			busy = append(busy, n)
		}
	}
	if len(busy) == 0 {
		return false
	}
	n := busy[w.draw(len(busy), "actor")]
	if n == w.home && len(n.box) > 0 {
		w.noteArrival(n.box[0])
	}
	w.step(n)
	return true
}

func (w *world) noteArrival(event any) {
	m, ok := event.(*wire.Message)
	if !ok || m.Header.Type != wire.Open {
		return
	}
	key := openKey{m.From, m.Header.Hit}
	w.order++
	if w.arrived[key] != 0 {
		w.arrived[key] = -1
		return
	}
	w.arrived[key] = w.order
}

// spawned notes who serves a hit. Nobody gets a slot while an earlier one waits for the same service.
func (w *world) spawned(h *machine.Hit, open *wire.Message) {
	for _, s := range w.workers {
		if s.wild && s.link.ref == h.Worker {
			w.lies[openKey{open.From, open.Header.Hit}] = true
		}
	}
	mine := w.arrived[openKey{open.From, open.Header.Hit}]
	for _, m := range w.broker.Waiting(string(open.Frame(0))) {
		other := w.arrived[openKey{m.From, m.Header.Hit}]
		require.True(w.t, mine < 0 || other < 0 || other > mine, "hit %x, open %d, overtakes open %d", h.Handle, mine, other)
	}
}

// moved notes that a hit goes to a wild worker.
func (w *world) moved(h *machine.Hit, to wire.Peer) {
	for _, s := range w.workers {
		if !s.wild || s.link.ref != to {
			continue
		}
		w.lies[openKey{h.Client, h.Ref}] = true
		for _, c := range w.clients {
			for _, x := range c.hits {
				x.lied = x.lied || x.handle == h.Handle
			}
		}
	}
}

// deliverOne takes one message of a peer off the wire.
func (w *world) deliverOne(l *link, out *[]*wire.Message) bool {
	if len(*out) == 0 {
		return false
	}
	m := (*out)[0]
	*out = (*out)[1:]
	w.deliver(l, m)
	return true
}

// check is what holds after each step.
func (w *world) check() {
	t, i := w.t, w.broker.Inventory()
	require.Equal(t, i.Hits, i.Listed)
	require.Equal(t, i.Hits, len(w.stage.handles.inUse), "a handle for each hit")
	require.Equal(t, i.Queued, i.Deadlines)
	require.Equal(t, i.Deadlines+i.Adrift+i.Moving+w.broker.KeptAnswers() == 0, w.broker.Deadline() == 0)
	require.LessOrEqual(t, i.Names, i.Workers)
	require.LessOrEqual(t, i.Unoffered, 2*i.Queued, "that of all, and one of a target")
	require.LessOrEqual(t, i.Places, 64*(len(offers)+w.broker.Services())+2*i.Queued)
	for _, name := range offers {
		require.LessOrEqual(t, len(w.broker.Waiting(name)), w.cfg.MaxQueue)
	}
	for _, x := range w.broker.AllWorkers() {
		hits, busy := x.Assigned()
		require.Equal(t, hits+busy+x.Behind()+w.reported(x), x.Load.Used, "slots of worker %s: %d hits, %d held from before", x.Name, hits, busy)
		require.LessOrEqual(t, x.Load.Used, x.Load.Slots)
	}
	for _, h := range w.broker.AllHits() {
		require.LessOrEqual(t, h.Answered, h.Accepted)
		require.LessOrEqual(t, h.Accepted-h.Answered, w.cfg.MaxCalls)
	}
	if w.quiet() {
		w.checkQuiet()
	}
}

// reported counts the slots that a worker's machine has given up and the broker has not heard of.
func (w *world) reported(x *machine.Worker) (n int) {
	for _, event := range w.home.box {
		if r, ok := event.(*report); ok {
			if freed, ok := r.event.(*machine.SlotFreed); ok && freed.Worker == x {
				n++
			}
		}
	}
	return n
}

// checkQuiet is what holds when no actor has anything to do.
func (w *world) checkQuiet() {
	actors := map[*machine.Hit]bool{}
	for _, n := range w.nodes {
		if n.hit != nil {
			actors[n.hit] = true
		}
	}
	hits := w.broker.AllHits()
	for _, h := range hits {
		require.Equal(w.t, !h.Orphan(), actors[h], "hit %x is %v: has it an actor?", h.Handle, h.State)
		if h.State == machine.Moving {
			require.False(w.t, w.broker.Servable(h.Service()) && h.Past() == 0, "hit %x waits for a worker while a slot is free", h.Handle)
			delete(actors, h)
			continue
		}
		require.False(w.t, w.link(h.Worker).gone, "hit %x is at a worker that is gone", h.Handle)
		delete(actors, h)
	}
	require.Empty(w.t, actors, "actors of hits that the broker does not know")
	for _, name := range offers {
		require.False(w.t, len(w.broker.Waiting(name)) > 0 && w.broker.Servable(name) && !w.broker.Held(name), "somebody waits for %q while a slot is free", name)
	}
	require.Empty(w.t, w.broker.Stranded(), "somebody waits for a worker that has a free slot")
	for _, l := range w.links {
		l.settled = l.gone && !l.claimed
	}
}

// Whatever happens: slots are counted right, each call is answered once, what an answer says of its call is true, and nothing is left at the end.
func TestWorld(t *testing.T) {
	worlds := 20 // times rapid's hundred
	if testing.Short() {
		worlds = 3
	}
	for range worlds {
		rapid.Check(t, oneWorld)
	}
}

// oneWorld lives through some hundred happenings, each of them a number.
func oneWorld(t *rapid.T) {
	w := newWorld(t)
	for _, what := range rapid.SliceOfN(rapid.IntRange(0, 99), 300, 400).Draw(t, "happenings") {
		w.happen(what * 37 % 100) // rapid prefers small numbers, the world does not
		w.check()
	}
	w.finish()
}

func (w *world) happen(what int) {
	switch {
	case what < 30:
		w.turn()
	case what < 40:
		w.someClient(func(c *player) { w.deliverOne(c.link, &c.out) })
	case what < 50:
		w.someWorker(func(s *servant) { w.deliverOne(s.link, &s.out) })
	case what < 57:
		w.someClient((*player).read)
	case what < 66:
		w.someWorker((*servant).read)
	case what < 80:
		w.someClient((*player).act)
	case what < 93:
		w.someWorker((*servant).act)
	case what < 96:
		w.arrive()
	case what < 97:
		w.operate()
	default:
		w.accident()
	}
}

// operate is what operators do about queues.
func (w *world) operate() {
	r := machine.AdminRequest{Service: offers[w.draw(len(offers), "service")], By: "somebody"}
	r.Cmd = []string{"queue.hold", "queue.release", "queue.release", "queue.clear", "queue.remove", "queue.list", "queue.show"}[w.draw(7, "command")]
	if r.Cmd == "queue.remove" {
		answer, _ := w.broker.Administer(w.now, machine.AdminRequest{Cmd: "queue.show", Service: r.Service}, nil)
		page, _ := answer.(map[string]any)
		rows, _ := page["items"].([]machine.ItemRow)
		if len(rows) == 0 {
			return
		}
		r.ID = rows[w.draw(len(rows), "item")].ID
	}
	_, fx := w.broker.Administer(w.now, r, nil)
	w.effects(w.home, fx)
}

func (w *world) someClient(do func(*player)) {
	if len(w.clients) > 0 {
		do(w.clients[w.draw(len(w.clients), "client")])
	}
}

func (w *world) someWorker(do func(*servant)) {
	if len(w.workers) > 0 {
		do(w.workers[w.draw(len(w.workers), "worker")])
	}
}

func (w *world) arrive() {
	if w.chance(2, "who arrives") {
		w.newServant(0)
	} else {
		w.newPlayer()
	}
}

// accident is what goes wrong by itself, and the passing of time.
func (w *world) accident() {
	switch w.draw(10, "accident") {
	case 8, 9:
		if hits := w.broker.AllHits(); len(hits) > 0 {
			h := hits[w.draw(len(hits), "hit")]
			w.tell(h, &machine.Stuck{Why: machine.Why{Verdict: "STUCK", Measured: "chance"}})
		}
	case 0, 1:
		w.tick(time.Duration(w.draw(40, "100 ms")) * 100 * time.Millisecond)
	case 2:
		w.someClient(func(c *player) { w.lose(c.link, "disconnected", "chance") })
	case 3:
		w.someWorker((*servant).vanish)
	case 4:
		w.someWorker(func(s *servant) { s.link.slow = !s.link.slow })
	case 5:
		w.crashOne(func(n *node) bool { return n.hit != nil })
	case 6:
		w.crashOne(func(n *node) bool { return n.worker != nil })
	case 7:
		if hits := w.broker.AllHits(); len(hits) > 0 {
			h := hits[w.draw(len(hits), "hit")]
			_, fx := w.broker.Administer(w.now, machine.AdminRequest{Cmd: "hit.kill", Hit: fmt.Sprintf("%x", h.Handle)}, nil)
			w.effects(w.home, fx)
		}
	}
}

func (w *world) crashOne(which func(*node) bool) {
	var found []*node
	for _, n := range w.nodes {
		if which(n) && n.up {
			found = append(found, n)
		}
	}
	if len(found) == 0 {
		return
	}
	n := found[w.draw(len(found), "who crashes")]
	if n.hit != nil {
		w.crashed[n.hit.Handle] = true
	}
	w.crash(n)
}
