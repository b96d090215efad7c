package pubsub

import "sync"

// queue is what waits to be received: written by the sockets' goroutine, read by anybody.
type queue struct {
	mu    sync.Mutex
	items []*Message
	head  int
	max   int
	ready chan struct{} // holds a token when there may be something

	left int // the writer's: how much room there was at least, when it looked
}

func newQueue(most int) *queue { return &queue{max: most, ready: make(chan struct{}, 1)} }

// room reports whether there is room for one more besides what the writer is about to put. It is the writer's: readers only make room.
func (q *queue) room(about int) bool {
	if about < q.left {
		return true
	}
	q.left = q.max - q.len()
	return about < q.left
}

// put adds items, of which it keeps a copy.
func (q *queue) put(items []*Message) {
	q.mu.Lock()
	if q.head > 0 && len(q.items)+len(items) > cap(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, items...)
	q.left = q.max - (len(q.items) - q.head)
	q.mu.Unlock()
	q.signal()
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
	if len(q.ready) > 0 {
		return
	}
	select {
	case q.ready <- struct{}{}:
	default:
	}
}
