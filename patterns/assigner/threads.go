package assigner

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/troupe-mq/troupe/actors/host"
)

// threadPool owns the pinned threads of a worker: those in use, and those kept for a later hit.
type threadPool struct {
	running atomic.Int64 // calls being served
	mu      sync.Mutex
	kept    []*host.Pinned
	live    map[*host.Pinned]struct{}
	lost    map[*host.Pinned]struct{} // written off
	closed  bool
}

// slotThroughput is how many waiting calls a slot's thread serves per wake-up.
const slotThroughput = 64

// startThread makes the thread of a hit. A build for the proof of affinity breaks it, see threads_mutant.go.
var startThread = host.StartPinned

func (p *threadPool) take(name string, keep bool) *host.Pinned {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.kept); keep && n > 0 {
		t := p.kept[n-1]
		p.kept = p.kept[:n-1]
		return t
	}
	t := startThread(host.PinnedConfig{Name: name, Throughput: slotThroughput})
	if p.live == nil {
		p.live = make(map[*host.Pinned]struct{})
	}
	p.live[t] = struct{}{}
	return t
}

// give takes a thread back after its hit; it is kept or destroyed.
func (p *threadPool) give(t *host.Pinned, keep bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.lost, t)
	if keep && !p.closed {
		p.kept = append(p.kept, t)
		return
	}
	delete(p.live, t)
	t.Close(false)
}

// writeOff counts a thread out that does not come back; nil: it is none of the pool's.
func (p *threadPool) writeOff(t *host.Pinned) {
	if t == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.live[t]; !ok {
		return
	}
	delete(p.live, t)
	if p.lost == nil {
		p.lost = make(map[*host.Pinned]struct{})
	}
	p.lost[t] = struct{}{}
}

// trim ends kept threads but for as many as there are free slots.
func (p *threadPool) trim(free int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := len(p.kept); n > free; n-- {
		t := p.kept[n-1]
		p.kept = p.kept[:n-1]
		delete(p.live, t)
		t.Close(false)
	}
}

// close ends kept threads and waits for all, until ctx ends: those that are blocked in native code stay.
func (p *threadPool) close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	threads := make([]*host.Pinned, 0, len(p.live))
	for t := range p.live {
		threads = append(threads, t)
		t.Close(false)
	}
	stuck := len(p.lost) // nobody waits for them
	p.kept = nil
	p.mu.Unlock()
	for _, t := range threads {
		if err := t.Wait(ctx); err != nil {
			stuck++
		}
	}
	if stuck > 0 {
		return fmt.Errorf("assigner: %w: %d threads are left behind, they end with the process", errStuck, stuck)
	}
	return nil
}

var errStuck = errors.New("sessions did not come back from their code in time")
