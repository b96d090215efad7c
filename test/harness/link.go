package harness

import (
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Link is a TCP proxy before an endpoint: who connects to it is connected to the target, as long as nobody cuts it. Its methods are safe for concurrent use.
type Link struct {
	Endpoint string // connect to this one

	name     string
	target   string
	listener net.Listener
	timeline *Timeline
	running  sync.WaitGroup

	mu      sync.Mutex
	healed  chan struct{} // closed when a silence ends
	delay   time.Duration
	silent  bool
	refuses bool
	closed  bool
	pairs   map[*pair]struct{}
	tap     func(Direction, uint64) Tap
	count   uint64 // of connections
}

// Direction says which way bytes go.
type Direction int

// The directions of a link.
const (
	Up   Direction = iota // from who has connected to the target
	Down                  // from the target
)

// Tap sees the bytes of one direction of one connection, in order, before they are passed on. It must not keep them.
type Tap func(b []byte)

// NewLink puts a proxy before a tcp endpoint. It is closed when the test ends; the name is its on the timeline.
func NewLink(t testing.TB, name, endpoint string) *Link {
	t.Helper()
	target, ok := strings.CutPrefix(endpoint, "tcp://")
	if !ok {
		t.Fatalf("a link can be put before a tcp endpoint only, not before %s", endpoint)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &Link{
		Endpoint: "tcp://" + listener.Addr().String(), name: name, target: target, listener: listener, timeline: TimelineOf(t),
		pairs: make(map[*pair]struct{}), healed: make(chan struct{}),
	}
	close(l.healed)
	l.running.Go(l.accept)
	t.Cleanup(l.close)
	return l
}

// Watch has every later connection watched: tap is called with its number, once per direction. Call it before anybody connects.
func (l *Link) Watch(tap func(way Direction, connection uint64) Tap) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tap = tap
}

// Delay has all bytes arrive that much later, both ways; their order stays. 0 ends it.
func (l *Link) Delay(d time.Duration) {
	l.note(d == 0, "delay %v", d)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = d
}

// Silence keeps connections open and passes nothing on any more, as a cable that was pulled out: neither side is told. Heal lets what was held back go on.
func (l *Link) Silence() {
	l.note(false, "silence")
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.silent {
		l.silent, l.healed = true, make(chan struct{})
	}
}

// Cut ends all connections at once, as a router that restarts; new ones are possible.
func (l *Link) Cut() {
	l.note(false, "cut")
	l.hangUp()
}

// Refuse ends all connections and takes no new ones until Heal.
func (l *Link) Refuse() {
	l.note(false, "refuse")
	l.mu.Lock()
	l.refuses = true
	l.mu.Unlock()
	l.hangUp()
}

// Heal ends Silence, Refuse and Delay.
func (l *Link) Heal() {
	l.note(true, "heal")
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heal()
}

func (l *Link) heal() {
	l.refuses, l.delay = false, 0
	if l.silent {
		l.silent = false
		close(l.healed)
	}
}

func (l *Link) note(mended bool, format string, args ...any) {
	kind := Fault
	if mended {
		kind = Mended
	}
	l.timeline.Note(kind, l.name, "link: "+format, args...)
}

// Connections returns how many connections there are.
func (l *Link) Connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pairs)
}

func (l *Link) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.pairs {
		p.close()
	}
}

func (l *Link) close() {
	l.mu.Lock()
	l.closed = true
	l.heal()
	l.mu.Unlock()
	_ = l.listener.Close()
	l.hangUp()
	l.running.Wait()
}

func (l *Link) accept() {
	for {
		near, err := l.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			l.running.Go(func() { l.serve(near) })
		}
	}
}

// serve joins a connection with one to the target. While the link is silent it waits with that, as a handshake would.
func (l *Link) serve(near net.Conn) {
	p := &pair{near: near, over: make(chan struct{})}
	if !l.enter(p) {
		reset(near)
		return
	}
	defer l.leave(p)
	if !l.passes(p) {
		return
	}
	far, err := net.DialTimeout("tcp", l.target, Patience)
	if err != nil || !p.join(far) {
		if err == nil {
			reset(far)
		}
		return
	}
	up, down := l.taps()
	var ways sync.WaitGroup
	ways.Go(func() { l.carry(p, near, far, up) })
	ways.Go(func() { l.carry(p, far, near, down) })
	ways.Wait()
}

func (l *Link) enter(p *pair) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuses || l.closed {
		return false
	}
	l.pairs[p] = struct{}{}
	return true
}

func (l *Link) leave(p *pair) {
	p.end(shut)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pairs, p)
}

func (l *Link) taps() (up, down Tap) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	if l.tap == nil {
		return nil, nil
	}
	return l.tap(Up, l.count), l.tap(Down, l.count)
}

// passes returns when the link is not silent, or false when the connection is over.
func (l *Link) passes(p *pair) bool {
	l.mu.Lock()
	healed := l.healed
	l.mu.Unlock()
	select {
	case <-p.over:
		return false
	case <-healed:
		return true
	}
}
