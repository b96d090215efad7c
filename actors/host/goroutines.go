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
	mu         sync.Mutex
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

// Throughput returns the number of messages per turn.
func (g *Goroutines) Throughput() int { return g.throughput }

// Running returns the number of goroutines at work.
func (g *Goroutines) Running() int { return int(g.running.Load()) }

// Schedule runs fn on a new goroutine. It never blocks.
func (g *Goroutines) Schedule(fn func()) {
	g.running.Add(1)
	go g.run(fn)
}

func (g *Goroutines) run(fn func()) {
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
