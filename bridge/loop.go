package bridge

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// Loop owns the sockets of one broker, worker or client (see the package comment). Methods belong to the loop's own goroutine unless
// they say otherwise.
type Loop struct {
	cfg     Config
	ctx     *zmqsock.Context
	shared  bool // ctx is the process's shared one
	q       runq
	out     *Outbox
	dir     *Directory
	eps     []*Endpoint
	plains  []*Plain
	guards  []*zmqsock.Guard
	poller  *zmqsock.Poller
	start   time.Time
	now     int64 // clock of this turn, ns since start
	clock   atomic.Int64
	yielded int64 // when the loop yielded last, by now
	free    []*arena
	arenas  int
	timers  timers
	stats   Stats

	probed time.Duration // when connections were probed last
	heard  time.Duration // when monitors were asked last

	closed  bool // the sockets are; the loop's goroutine and late turns look at it
	mu      sync.Mutex
	posted  []func()
	ended   bool // nothing can be posted any more, under mu
	stop    chan struct{}
	stopped sync.Once
	done    chan struct{}
	served  atomic.Bool
}

// New returns a loop without sockets. Serve runs it; a loop that is never served must be closed by Close.
func New(cfg Config) (*Loop, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	wake, err := zmqsock.NewWake()
	if err != nil {
		return nil, err
	}
	l := &Loop{
		cfg: cfg, ctx: cfg.Context, start: time.Now(), poller: zmqsock.NewPoller(wake), stop: make(chan struct{}), done: make(chan struct{}),
	}
	if l.ctx == nil {
		if l.ctx, err = acquireContext(); err != nil {
			_ = wake.Close()
			return nil, err
		}
		l.shared = true
	}
	l.q.wake, l.q.throughput = wake, cfg.Throughput
	l.dir = newDirectory(cfg.FirstGeneration, &l.q, cfg.System.ProcessRegistry.Get)
	l.out = &Outbox{loop: l, out: zmqsock.NewOut()}
	return l, nil
}

// Dispatcher returns the dispatcher that runs actors on the loop. It is safe for use from any goroutine.
func (l *Loop) Dispatcher() actor.Dispatcher { return &l.q }

// Outbox returns where actors on the loop write to.
func (l *Loop) Outbox() *Outbox { return l.out }

// Directory returns the handles of hits.
func (l *Loop) Directory() *Directory { return l.dir }

// Stats returns the loop's counters. It is safe for use from any goroutine.
func (l *Loop) Stats() *Stats { return &l.stats }

// Now returns the time since the loop was made, as of the beginning of this turn. It is safe for use from any goroutine, where it
// may lie behind while the loop sleeps.
func (l *Loop) Now() time.Duration { return time.Duration(l.clock.Load()) }

// Elapsed returns the time since the loop was made. It is safe for use from any goroutine.
func (l *Loop) Elapsed() time.Duration { return time.Since(l.start) }

// Pulse says whether the loop is in a turn, and in which: what a watchdog has to know. It is safe for use from any goroutine.
func (l *Loop) Pulse() (turn uint64, busy bool) {
	select {
	case <-l.stop: // what it still does has deadlines of its own
		return 0, false
	case <-l.done:
		return 0, false
	default:
	}
	return l.stats.Turns.Load(), !l.q.asleep.Load()
}

// Do runs fn on the loop, soon: before the loop ends if it reports true, never if it reports false, since the loop has ended. It is safe for use
// from any goroutine.
func (l *Loop) Do(fn func()) bool {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return false
	}
	l.posted = append(l.posted, fn)
	l.mu.Unlock()
	l.q.posted.Store(true)
	l.q.rouse()
	return true
}

// Stop makes Serve return after it has sent what was written. It is safe for use from any goroutine, and does not wait.
func (l *Loop) Stop() {
	l.stopped.Do(func() { close(l.stop) })
	l.q.rouse()
}

// Done is closed when the loop has ended and has given everything back: sockets, descriptors, memory, its use of the shared context.
func (l *Loop) Done() <-chan struct{} { return l.done }

// Close stops the loop and waits until it has ended or ctx is over.
func (l *Loop) Close(ctx context.Context) error {
	l.Stop()
	if l.served.CompareAndSwap(false, true) {
		l.end()
		return nil
	}
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("bridge: the loop did not end: %w", context.Cause(ctx))
	}
}

// Serve runs the loop on the calling goroutine until Stop or ctx ends. The error is nil then.
func (l *Loop) Serve(ctx context.Context) error {
	if !l.served.CompareAndSwap(false, true) {
		return errors.New("bridge: this loop has been served or closed already: make a new one")
	}
	defer context.AfterFunc(ctx, l.Stop)()
	defer l.end()
	for {
		select {
		case <-l.stop:
			return nil
		default:
		}
		busy, err := l.turn()
		if err == nil && !busy {
			err = l.rest()
		} else if l.cfg.Spin > 0 || l.now-l.yielded > yieldEvery {
			l.yield() // where others spin for answers, they write their next messages, which leave in one batch
		}
		if err != nil {
			return err
		}
	}
}

// yieldEvery bounds in nanoseconds how long a busy loop goes without a yield. After 10 ms Go's monitor holds the goroutine for stuck: from then on it
// wakes every 20 us and takes the processor away in each call of C, which cost a sixth of the broker's time.
const yieldEvery = 5_000_000

// yield lets others run. The goroutine is not locked to a thread: then this would be a hand-off between two.
func (l *Loop) yield() {
	l.yielded = l.now
	runtime.Gosched()
}

// turn does all that is to be done now and reports whether there was anything.
func (l *Loop) turn() (bool, error) {
	before := l.now // of the turn before this one, or of the end of a sleep
	l.tick()
	l.stats.took(time.Duration(l.now), time.Duration(l.now-before))
	l.stats.Turns.Add(1)
	n := l.runPosted()
	for _, ep := range l.eps {
		ep.dial()
		got, err := l.receive(ep)
		if err != nil {
			return false, err
		}
		n += got
	}
	for _, p := range l.plains {
		got, err := p.receive()
		if err != nil {
			return false, err
		}
		n += got
	}
	n += l.fire()
	n += l.q.run(maxTurns)
	n += l.flush()
	if time.Duration(l.now)-l.heard > time.Millisecond {
		n += l.listen()
	}
	l.trim()
	return n > 0, nil
}

// maxTurns bounds how many mailboxes run before the loop looks at its sockets again.
const maxTurns = 4096

func (l *Loop) tick() {
	l.now = int64(time.Since(l.start))
	l.clock.Store(l.now)
}

func (l *Loop) since(at int64) time.Duration { return time.Duration(l.now - at) }

func (l *Loop) runPosted() int {
	if !l.q.posted.Swap(false) {
		return 0
	}
	l.mu.Lock()
	fns := l.posted
	l.posted = nil
	l.mu.Unlock()
	for _, fn := range fns {
		fn()
	}
	return len(fns)
}

func (l *Loop) flush() int {
	n := l.out.flush()
	for _, p := range l.plains {
		n += p.flush()
	}
	for _, ep := range l.eps {
		if ep.sender == nil {
			if ep.posts != nil {
				n += ep.posts.flush()
			}
			continue
		}
		if ep.line.due > 0 {
			continue // nobody to send to so far
		}
		sent, ok := ep.sender.flush()
		n += sent
		if !ok {
			ep.loseBroker("unreachable", "the connection to the broker takes no message")
			ep.line.end.confirm(ep.round)
		}
	}
	return n
}

// rest yields while answers are expected, then blocks until something comes.
func (l *Loop) rest() error {
	if l.cfg.Spin > 0 && l.cfg.Busy != nil {
		for i := 0; i < l.cfg.Spin && l.cfg.Busy(); i++ {
			l.yield()
			if busy, err := l.turn(); busy || err != nil {
				return err
			}
		}
	}
	l.q.asleep.Store(true)
	if l.hasWork() {
		l.q.asleep.Store(false)
		return nil
	}
	l.stats.Sleeps.Add(1)
	// The turn before found nothing to receive and sent nothing since.
	err := l.poller.Park(l.patience())
	l.q.asleep.Store(false)
	l.tick()
	if l.poller.Events() || time.Duration(l.now)-l.probed >= l.cfg.Probe {
		l.listen()
	}
	return err
}

// hasWork is asked after the loop has declared itself asleep, so that no wake-up is missed.
func (l *Loop) hasWork() bool {
	select {
	case <-l.stop:
		return true
	default:
	}
	if l.q.posted.Load() || !l.q.empty() {
		return true
	}
	for _, ep := range l.eps {
		if ep.sender != nil && ep.line.due == 0 && ep.sender.pending() || ep.posts != nil && ep.posts.pending() {
			return true
		}
	}
	for _, p := range l.plains {
		if p.pending() {
			return true
		}
	}
	return false
}

// patience returns how long the loop may sleep.
func (l *Loop) patience() time.Duration {
	now := time.Since(l.start)
	d := l.probed + l.cfg.Probe - now
	if len(l.timers) > 0 {
		d = min(d, l.timers[0].at-now)
	}
	for _, ep := range l.eps {
		if ep.line.due > 0 {
			d = min(d, ep.line.due-now)
		}
		if ep.departing() {
			d = min(d, time.Millisecond)
		}
	}
	return max(d, 0)
}

func (l *Loop) repoll() {
	socks := make([]*zmqsock.Socket, 0, len(l.eps))
	for _, ep := range l.eps {
		if ep.sock != nil {
			socks = append(socks, ep.sock)
		}
	}
	for _, p := range l.plains {
		socks = append(socks, p.sock)
	}
	if err := l.poller.Set(socks); err != nil {
		l.cfg.Logger.Error("a socket cannot be waited for", "error", err)
	}
}
