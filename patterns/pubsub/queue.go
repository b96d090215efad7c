package pubsub

import "sync"

// queue is what waits to be received: written by the sockets' goroutine, read by anybody.
type queue struct {
	mu    sync.Mutex
	items []*Message
	head  int
	max   int
	ready chan struct{} // holds a token when there may be something
}

func newQueue(most int) *queue { return &queue{max: most, ready: make(chan struct{}, 1)} }

// full reports whether the queue has no room. Only the writer may rely on it: readers make room.
func (q *queue) full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)-q.head >= q.max
}

func (q *queue) put(m *Message) {
	q.mu.Lock()
	if q.head > 0 && len(q.items) == cap(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, m)
	first := len(q.items)-q.head == 1
	q.mu.Unlock()
	if first {
		q.signal()
	}
}

// take returns the next message, nil if there is none.
func (q *queue) take() *Message {
	q.mu.Lock()
	if q.head == len(q.items) {
		q.mu.Unlock()
		return nil
	}
	m := q.items[q.head]
	q.items[q.head] = nil
	q.head++
	more := q.head < len(q.items)
	if !more {
		q.items, q.head = q.items[:0], 0
	}
	q.mu.Unlock()
	if more {
		q.signal() // for another reader
	}
	return m
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items) - q.head
}

func (q *queue) signal() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}
