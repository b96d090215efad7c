package host

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// Goroutines is a dispatcher that runs each turn of a mailbox on a goroutine of its own, and can wait for them. An
// idle actor owns no goroutine. All methods may be called from any goroutine.
type Goroutines struct {
	throughput int
	running    atomic.Int64
	waiters    atomic.Int64
	keep       int // how many goroutines may wait for a later turn
	mu         sync.Mutex
	parked     []chan func() // of goroutines that wait, the last one to come first
	closed     bool
	quiet      chan struct{} // closed when running falls to zero; made by the first waiter
}

var _ actor.Dispatcher = (*Goroutines)(nil)

// Goroutine returns a dispatcher whose actors handle at most throughput messages per turn; zero or less means
// DefaultThroughput.
func Goroutine(throughput int) *Goroutines {
	if throughput <= 0 {
		throughput = DefaultThroughput
	}
	return &Goroutines{throughput: throughput}
}

// GoroutinePool is Goroutine, but up to keep goroutines stay for later turns: a new goroutine starts with a small stack, and a
// handler a few calls deep makes the runtime copy it several times, which cost a fifth of a busy worker's processor time. It
// must be closed. A turn never waits for another one: when no goroutine is waiting it gets a new one.
func GoroutinePool(throughput, keep int) *Goroutines {
	g := Goroutine(throughput)
	g.keep = keep
	return g
}

// Close lets waiting goroutines go. Turns under way, and later ones, still run.
func (g *Goroutines) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for _, work := range g.parked {
		close(work)
	}
	g.parked = nil
}

// Throughput returns the number of messages per turn.
func (g *Goroutines) Throughput() int { return g.throughput }

// Running returns the number of goroutines at work.
func (g *Goroutines) Running() int { return int(g.running.Load()) }

// Schedule runs fn on a goroutine of its own. It never blocks.
func (g *Goroutines) Schedule(fn func()) {
	g.running.Add(1)
	if work := g.unpark(); work != nil {
		work <- fn // has one place
		return
	}
	go g.run(fn)
}

// unpark takes a waiting goroutine, nil if there is none.
func (g *Goroutines) unpark() chan func() {
	if g.keep == 0 {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	n := len(g.parked)
	if n == 0 {
		return nil
	}
	work := g.parked[n-1]
	g.parked = g.parked[:n-1]
	return work
}

// run runs turns until there is no place to wait for the next one.
func (g *Goroutines) run(fn func()) {
	g.turn(fn)
	if g.keep == 0 {
		return
	}
	work := make(chan func(), 1)
	for g.park(work) {
		fn, open := <-work
		if !open {
			return
		}
		g.turn(fn)
	}
}

func (g *Goroutines) park(work chan func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || len(g.parked) >= g.keep {
		return false
	}
	g.parked = append(g.parked, work)
	return true
}

func (g *Goroutines) turn(fn func()) {
	defer g.leave()
	fn()
}

func (g *Goroutines) leave() {
	// A waiter counts itself before it looks at running, so one of the two sees the other.
	if g.running.Add(-1) > 0 || g.waiters.Load() == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.quiet != nil {
		close(g.quiet)
		g.quiet = nil
	}
}

// Wait returns nil once no turn is running; new ones may start right afterwards, so stop the actors first. The error
// says how many goroutines are left and wraps the context's error.
func (g *Goroutines) Wait(ctx context.Context) error {
	g.waiters.Add(1)
	defer g.waiters.Add(-1)
	quiet := g.onQuiet()
	if g.running.Load() == 0 {
		return nil
	}
	select {
	case <-quiet:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("host: actor goroutines still running: %d; a handler does not return: %w",
			g.running.Load(), context.Cause(ctx))
	}
}

func (g *Goroutines) onQuiet() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.quiet == nil {
		g.quiet = make(chan struct{})
	}
	return g.quiet
}
