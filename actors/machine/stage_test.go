package machine_test

import (
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// stage joins the three machines as the actors and the bridge do, but with queues in place of both: who runs next is the test's choice, and
// time stands until the test moves it.
type stage struct {
	t       require.TestingT
	now     time.Duration
	broker  *machine.Broker
	handles *handles
	home    *node   // the broker's
	nodes   []*node // all that live, the broker first
	links   []*link // all connections there ever were; a peer is its index + 1
	counts  [wire.Statuses]int
	notes   []machine.Why // verdicts that were logged
	onSpawn func(*machine.Hit, *wire.Message)
	onMove  func(*machine.Hit, wire.Peer)
	onStray func(*link) // an effect for a peer that is gone
	trace   func(format string, args ...any)
	since   map[*link]time.Duration // when transports fell silent
}

// node is an actor with its mailbox.
type node struct {
	hit    *machine.Hit
	worker *machine.Worker
	box    []any
	up     bool
}

// link is a connection as the bridge knows it.
type link struct {
	ref        wire.Peer
	inbox      []*wire.Message // what the peer has not read yet
	attached   *node           // hears what names no hit; nil: the broker
	registered bool
	gone, slow bool
	settled    bool // everybody has heard that it is gone
	claimed    bool // a worker that had to fight for its name
	hungUp     string
	heard      time.Duration // its transport's last sign
	mute       bool          // nothing tells of its transport
}

// What the actors send each other.
type (
	begin struct {
		msg *wire.Message
		arg uint32
	}
	hitOver struct {
		hit    *machine.Hit
		status wire.Status
	}
	report struct{ event any }
	retell struct {
		hit   *machine.Hit
		event any
	}
	asked struct {
		worker *machine.Worker
		event  any
	}
	crashed struct{ node *node }
)

// handles issues each handle once.
type handles struct {
	t      require.TestingT
	next   uint64
	inUse  map[uint64]bool
	limit  int
	window int64
	keys   int
}

func (h *handles) Reserve() uint64 {
	if h.limit > 0 && len(h.inUse) >= h.limit {
		return 0
	}
	h.next += 1<<24 + 1
	h.inUse[h.next] = true
	return h.next
}

func (h *handles) Free(handle uint64) {
	require.True(h.t, h.inUse[handle], "handle %x is freed, but is not in use", handle)
	delete(h.inUse, handle)
}

func (h *handles) Window(_ wire.Peer, asked int64) int64 {
	if asked == 0 {
		return h.window
	}
	return min(asked, h.window)
}

// Key numbers the keys.
func (h *handles) Key() (k machine.Key) {
	h.keys++
	k[0], k[15] = byte(h.keys>>8), byte(h.keys)
	return k
}

func config() machine.BrokerConfig {
	return machine.BrokerConfig{
		Name: "broker", Incarnation: "00c0ffee00c0ffee", MaxBody: 1 << 20, Heartbeat: time.Second, MaxQueue: 3,
		MaxWait: 30 * time.Second, MaxCalls: 4, Grace: 10 * time.Second, Ask: time.Second, Admin: true, Epoch: 100, Lease: 2 * time.Second,
		Token:     func() [machine.TokenSize]byte { return [machine.TokenSize]byte([]byte("a one-time token")) },
		MaxResume: time.Minute, MaxKept: 1000, Silence: 3 * time.Second,
		MaxKeep: time.Minute, KeepMemory: 1000, MaxTasks: 5,
	}
}

func newStage(t require.TestingT, cfg machine.BrokerConfig) *stage {
	s := &stage{t: t, handles: &handles{t: t, next: 7, inUse: map[uint64]bool{}, window: 4 << 20}, now: time.Minute}
	s.broker = machine.NewBroker(cfg, s.handles)
	s.home = &node{up: true}
	s.nodes = []*node{s.home}
	s.onSpawn = func(*machine.Hit, *wire.Message) {}
	s.onMove = func(*machine.Hit, wire.Peer) {}
	s.onStray = func(*link) {}
	s.trace = func(string, ...any) {}
	return s
}

func (s *stage) link(ref wire.Peer) *link { return s.links[ref-1] }

// connect makes a connection.
func (s *stage) connect() *link {
	l := &link{ref: wire.Peer(len(s.links) + 1)}
	s.links = append(s.links, l)
	return l
}

// deliver takes a message off the wire, as the bridge does. It reports whether the bridge lets it through.
func (s *stage) deliver(l *link, m *wire.Message) bool {
	if l.gone || m.Header.Check(len(m.Body)) != nil {
		return false
	}
	if !l.registered && m.Header.Type != wire.Hello && m.Header.Type != wire.Ready {
		return false
	}
	l.registered = true
	m.From = l.ref
	s.trace("%v: peer %d says %v", s.now, l.ref, m.Header)
	if t := m.Header.Type; t >= wire.Call && t <= wire.Close || t >= wire.Opened && t <= wire.Error || t == wire.Ended || t == wire.Tally || t == wire.Ack || t == wire.Probe || t == wire.Hold || t == wire.Part || t == wire.Credit {
		if n := s.find(m.Header.Hit); n != nil && !m.Header.Flags.Has(wire.Ref) {
			n.box = append(n.box, m)
			return true
		}
	}
	to := s.home
	if l.attached != nil {
		to = l.attached
	}
	to.box = append(to.box, m)
	return true
}

// find returns the actor of a hit that is up.
func (s *stage) find(handle uint64) *node {
	for _, n := range s.nodes {
		if n.hit != nil && n.hit.Handle == handle && n.up {
			return n
		}
	}
	return nil
}

func (s *stage) workerNode(w *machine.Worker) *node {
	for _, n := range s.nodes {
		if n.worker == w {
			return n
		}
	}
	return nil
}

func (s *stage) remove(n *node) {
	for i := range s.nodes {
		if s.nodes[i] == n {
			s.nodes = append(s.nodes[:i:i], s.nodes[i+1:]...)
			return
		}
	}
}

// lose ends a connection.
func (s *stage) lose(l *link, detector, detail string) {
	if l.gone {
		return
	}
	l.gone, l.inbox = true, nil
	s.trace("%v: peer %d is lost: %s", s.now, l.ref, detail)
	to := s.home
	if l.attached != nil {
		to = l.attached
	}
	to.box = append(to.box, &wire.PeerGone{Peer: l.ref, Detector: detector, Detail: detail})
}

// crash ends an actor as a panic does: what is in its mailbox comes back to the broker, which then hears of the end.
func (s *stage) crash(n *node) {
	s.remove(n)
	s.trace("%v: %v crashes", s.now, n)
	for _, event := range n.box {
		if m, ok := event.(*wire.Message); ok && n.hit != nil {
			s.home.box = append(s.home.box, m)
		}
	}
	s.home.box = append(s.home.box, &crashed{n})
}

// run lets everybody handle everything.
func (s *stage) run() {
	for rounds := 0; ; rounds++ {
		require.Less(s.t, rounds, 10_000, "the actors never come to rest")
		busy := false
		for _, n := range append([]*node(nil), s.nodes...) {
			busy = s.step(n) || busy
		}
		if !busy {
			return
		}
	}
}

// quiet reports whether nobody has anything to do.
func (s *stage) quiet() bool {
	for _, n := range s.nodes {
		if len(n.box) > 0 || !n.up {
			return false
		}
	}
	return true
}

// tick moves time by d and calls whose deadline is past.
func (s *stage) tick(d time.Duration) {
	s.now += d
	if at := s.broker.Deadline(); at > 0 && at <= s.now {
		s.effects(s.home, s.broker.Tick(s.now, nil))
		require.True(s.t, s.broker.Deadline() == 0 || s.broker.Deadline() > s.now, "a deadline is still due")
	}
	for _, n := range append([]*node(nil), s.nodes...) {
		if n.worker != nil && n.up && n.worker.Deadline() > 0 && n.worker.Deadline() <= s.now {
			s.effects(n, n.worker.Tick(s.now, nil))
		}
	}
}

// forward is what the outbox does with a message of somebody's under another header.
func (s *stage) forward(to wire.Peer, h wire.Header, body [][]byte) error {
	l := s.link(to)
	switch {
	case l.gone:
		s.onStray(l)
		return wire.ErrNoPeer
	case l.slow && (h.Type == wire.Begin || h.Type == wire.Call || h.Type == wire.Part):
		return wire.ErrPeerSlow
	}
	require.NoError(s.t, h.Check(len(body)), "the broker sends what is not HIT/1: %v", h)
	s.trace("%v: peer %d gets %v", s.now, to, h)
	l.inbox = append(l.inbox, wire.NewMessage(h, body...))
	return nil
}

func (n *node) String() string {
	switch {
	case n.hit != nil:
		return fmt.Sprintf("hit %x", n.hit.Handle)
	case n.worker != nil:
		return "worker " + n.worker.Name
	}
	return "broker"
}
