package host

import (
	"context"
	"fmt"
	"runtime"
	"runtime/pprof"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// PinnedConfig describes a thread for actors. The zero value is usable.
type PinnedConfig struct {
	// Name is the pprof label "pinned" of the goroutine and, cut to 15 bytes, the name of the thread in top -H and
	// ps -L. Empty means neither.
	Name string
	// Throughput is the number of messages an actor may handle per turn; zero or less means DefaultThroughput.
	Throughput int
	// Spin is the number of times, about a nanosecond each, that the thread looks for work before it sleeps. It may save
	// a wake-up (tens of microseconds) at the price of a busy core, when there are cores to spare and calls follow each
	// other closely; on two cores the gain was within the noise. Zero or less means that it sleeps at once.
	Spin int
}

// Pinned is a dispatcher that runs everything on one operating system thread, which nothing else uses: native code
// that keeps thread-local state sees the same thread from an actor's Started to its Stopped. Usually one actor has
// it; several may share it, one after the other or at the same time. All methods may be called from any goroutine.
type Pinned struct {
	name       string
	throughput int
	spin       int
	tid        int
	up         chan struct{} // closed when the thread is there
	done       chan struct{} // closed when the goroutine is leaving its thread
	wake       chan struct{} // a token for the sleeping thread
	late       *Goroutines   // runs what is scheduled after the end

	waiting atomic.Int32 // length of work, for spinning
	mu      sync.Mutex
	work    ring[func()]
	asleep  bool
	closed  bool
	keep    bool
}

var _ actor.Dispatcher = (*Pinned)(nil)

// NewPinned starts a thread with that name and defaults for the rest. Close ends it.
func NewPinned(name string) *Pinned { return StartPinned(PinnedConfig{Name: name}) }

// StartPinned starts a thread. Close ends it. It returns at once; TID waits until the thread is there.
func StartPinned(cfg PinnedConfig) *Pinned {
	p := makePinned(cfg)
	go p.main()
	return p
}

func makePinned(cfg PinnedConfig) *Pinned {
	p := &Pinned{
		name: cfg.Name,
		spin: cfg.Spin,
		up:   make(chan struct{}),
		done: make(chan struct{}),
		wake: make(chan struct{}, 1),
		late: Goroutine(cfg.Throughput),
	}
	p.throughput = p.late.Throughput()
	return p
}

// Throughput returns the number of messages per turn.
func (p *Pinned) Throughput() int { return p.throughput }

// TID returns the thread's id in the operating system (gettid), or 0 where there is none. It waits for the thread.
func (p *Pinned) TID() int {
	<-p.up
	return p.tid
}

// Schedule queues fn for the thread and never blocks. After Close, fn runs on a goroutine instead: what the engine
// still has to do for a dead actor (answer a late Watch) must not hang.
func (p *Pinned) Schedule(fn func()) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		p.late.Schedule(fn)
		return
	}
	p.work.push(fn)
	p.waiting.Add(1)
	p.unlockAndWake()
}

// Close lets the thread run what is queued and then end, and returns at once, even if native code blocks it. With
// keep the thread goes back to the Go runtime for other goroutines; without, it is destroyed, and its thread-local
// values with it. Close it after its actors have stopped: from here on their turns would run on other threads. A
// thread that the next actor shall find again is not closed but reused. The first Close decides.
func (p *Pinned) Close(keep bool) {
	p.mu.Lock()
	if !p.closed {
		p.closed, p.keep = true, keep
	}
	p.unlockAndWake()
}

// Done is closed when the thread has run its last function.
func (p *Pinned) Done() <-chan struct{} { return p.done }

// Wait returns nil when the thread has ended after Close and nothing runs in its stead. The error names the thread
// and wraps the context's error.
func (p *Pinned) Wait(ctx context.Context) error {
	select {
	case <-p.done:
	default: // a context that has ended must not hide that the thread has, too
		select {
		case <-p.done:
		case <-ctx.Done():
			return fmt.Errorf("host: pinned thread %q (tid %d) has not ended, it was not closed or a call does not "+
				"return: %w", p.name, p.TID(), context.Cause(ctx))
		}
	}
	return p.late.Wait(ctx)
}

// unlockAndWake releases the lock and wakes the thread if it sleeps.
func (p *Pinned) unlockAndWake() {
	wake := p.asleep
	p.asleep = false
	p.mu.Unlock()
	if wake {
		p.wake <- struct{}{} // one token per sleep: there is always room
	}
}

// main owns the thread.
func (p *Pinned) main() {
	runtime.LockOSThread()
	if isMainThread() {
		// The runtime never destroys the main thread. While this goroutine occupies it, another one cannot land there.
		go p.main()
		<-p.up
		runtime.UnlockOSThread()
		return
	}
	restore := nameThread(p.name)
	if p.name != "" {
		pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels("pinned", p.name)))
	}
	p.tid = threadID()
	close(p.up)
	defer p.leave(restore)
	for {
		fn := p.next()
		if fn == nil {
			return
		}
		fn()
	}
}

// next returns the next function; nil means that the thread was closed and has nothing left.
func (p *Pinned) next() func() {
	for {
		for i := 0; i < p.spin && p.waiting.Load() == 0; i++ {
		}
		p.mu.Lock()
		if p.work.size > 0 {
			fn := p.work.pop()
			p.waiting.Add(-1)
			p.mu.Unlock()
			return fn
		}
		if p.closed {
			p.mu.Unlock()
			return nil
		}
		p.asleep = true
		p.mu.Unlock()
		<-p.wake
	}
}

// leave ends the thread: a goroutine that returns locked takes its thread along. It also runs when a function left by
// runtime.Goexit; then there may be work for the stand-in.
func (p *Pinned) leave(restore func()) {
	p.mu.Lock()
	p.closed = true
	rest := p.work
	p.work = ring[func()]{}
	keep := p.keep
	p.mu.Unlock()
	for rest.size > 0 {
		p.late.Schedule(rest.pop())
	}
	if keep {
		restore()
		runtime.UnlockOSThread()
	}
	close(p.done)
}
