package supervision

import "sync"

// port is a supervisor's side door. What timers, children and Tree tell a
// supervisor must neither wait behind user messages nor be refused by a
// bounded mailbox, or a shutdown could be starved. So it is queued here, and
// wake makes the owner look. All methods are goroutine-safe.
type port struct {
	gone chan struct{} // closed when nobody looks any more

	mu     sync.Mutex
	wake   func() // nil until the owner is ready
	queue  []any
	closed bool
}

func newPort(wake func()) *port { return &port{wake: wake, gone: make(chan struct{})} }

// post queues v and reports whether the port is still open.
func (p *port) post(v any) bool {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return false
	}
	p.queue = append(p.queue, v)
	wake := p.wake
	if len(p.queue) > 1 {
		wake = nil // the owner has been woken and has not looked yet
	}
	p.mu.Unlock()
	if wake != nil {
		wake()
	}
	return true
}

// bind tells the port how to wake its owner.
func (p *port) bind(wake func()) {
	p.mu.Lock()
	p.wake = wake
	waiting := len(p.queue) > 0
	p.mu.Unlock()
	if waiting {
		wake()
	}
}

// take empties the queue.
func (p *port) take() []any {
	p.mu.Lock()
	defer p.mu.Unlock()
	items := p.queue
	p.queue = nil
	return items
}

// close refuses everything from now on. It may be called several times.
func (p *port) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		p.queue = nil
		close(p.gone)
	}
}
