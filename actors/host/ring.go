package host

import "sync"

const (
	// ringStart is the first capacity of a ring that gets something to hold.
	ringStart = 8
	// ringKeep is the largest capacity worth keeping for the next mailbox; what a bigger burst needed is freed.
	ringKeep = 1024
)

// ring is a first-in-first-out queue in a circular buffer whose capacity is a power of two. The zero value is empty
// and owns no memory. It is not safe for concurrent use.
type ring[T any] struct {
	buf  []T
	head uint32
	size uint32
}

func (r *ring[T]) push(v T) {
	if int(r.size) == len(r.buf) {
		r.grow()
	}
	r.buf[(r.head+r.size)&uint32(len(r.buf)-1)] = v
	r.size++
}

// pop takes the oldest element. The ring must not be empty.
func (r *ring[T]) pop() T {
	var none T
	slot := &r.buf[r.head]
	v := *slot
	*slot = none // a message must not be kept alive by the queue it has left
	r.head = (r.head + 1) & uint32(len(r.buf)-1)
	r.size--
	return v
}

func (r *ring[T]) grow() {
	bigger := make([]T, max(ringStart, 2*len(r.buf)))
	n := copy(bigger, r.buf[r.head:])
	copy(bigger[n:], r.buf[:r.head])
	r.buf, r.head = bigger, 0
}

// rings lends buffers to mailboxes that have something queued, so that an idle mailbox owns none.
var rings = sync.Pool{New: func() any { return new(ring[any]) }}

// queue holds one message in place, which is all most mailboxes ever have waiting, and borrows a ring for more. The zero
// value is empty.
type queue struct {
	first any // the oldest message, nil if there is none
	lent  *ring[any]
}

func (q *queue) length() int {
	n := 0
	if q.first != nil {
		n = 1
	}
	if q.lent != nil {
		n += int(q.lent.size)
	}
	return n
}

// push adds a message; nil cannot be one.
func (q *queue) push(v any) {
	if q.first == nil && (q.lent == nil || q.lent.size == 0) {
		q.first = v
		return
	}
	if q.lent == nil {
		q.lent, _ = rings.Get().(*ring[any]) // the pool holds nothing else
	}
	q.lent.push(v)
}

// pop takes the oldest message. The queue must not be empty.
func (q *queue) pop() any {
	if v := q.first; v != nil {
		q.first = nil
		return v
	}
	return q.lent.pop()
}

// release gives an empty ring back; the memory of a large burst goes to the garbage collector.
func (q *queue) release() {
	if q.lent == nil || q.lent.size > 0 {
		return
	}
	if len(q.lent.buf) <= ringKeep {
		rings.Put(q.lent)
	}
	q.lent = nil
}
