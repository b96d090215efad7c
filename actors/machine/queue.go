package machine

import (
	"slices"
	"time"

	"github.com/troupe-mq/troupe/actors/prio"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// waiter is an OPEN that waits for a slot. Its message owns its bytes.
type waiter struct {
	msg      *wire.Message
	client   *client
	service  *service
	target   *wire.Target // nil: any worker
	task     *task        // nil: its client is told
	topic    string       // its label
	order    uint64       // of arrival at the broker
	since    time.Duration
	limit    time.Duration // until when it may wait
	deadline time.Duration // the same, or earlier while nobody offers the service
	index    int           // in the heap of deadlines, -1 when out
	gone     bool          // taken out of the middle of its queue; skipped when its turn comes
}

// queue holds the waiters of one service in order of arrival.
type queue struct {
	items []*waiter
	head  int
	n     int // those not gone
}

func (q *queue) push(w *waiter) {
	q.items = append(q.items, w)
	q.n++
}

// insert puts a waiter that has waited elsewhere where its order belongs.
func (q *queue) insert(w *waiter) {
	i := len(q.items)
	for i > q.head && (q.items[i-1] == nil || q.items[i-1].order > w.order) {
		i--
	}
	q.items = slices.Insert(q.items, i, w)
	q.n++
}

// peek returns the first waiter, nil if none waits.
func (q *queue) peek() *waiter {
	for q.head < len(q.items) && q.items[q.head].gone {
		q.items[q.head] = nil
		q.head++
	}
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
		return nil
	}
	return q.items[q.head]
}

// remove takes a waiter out, wherever it stands. The places of those taken out are given back when they are the most.
func (q *queue) remove(w *waiter) {
	if w.gone {
		return
	}
	w.gone = true
	q.n--
	for q.head < len(q.items) && q.items[q.head].gone {
		q.items[q.head] = nil
		q.head++
	}
	switch {
	case len(q.items) < 64 || len(q.items) < 2*q.n:
		return
	case 2*q.head >= len(q.items): // most left from the front: nobody need be looked at
		q.items, q.head = append(make([]*waiter, 0, len(q.items)-q.head), q.items[q.head:]...), 0
		return
	}
	kept := make([]*waiter, 0, q.n) // not in place: each may be under way
	q.each(func(w *waiter) { kept = append(kept, w) })
	q.items, q.head = kept, 0
}

// each calls f for all that wait; f may remove.
func (q *queue) each(f func(*waiter)) {
	for _, w := range q.items[q.head:] {
		if w != nil && !w.gone {
			f(w)
		}
	}
}

// newDeadlines returns a queue of all waiters of the broker: the earlier deadline first, then the earlier OPEN.
func newDeadlines() prio.Queue[*waiter] {
	return prio.New(func(a, b *waiter) bool {
		if a.deadline != b.deadline {
			return a.deadline < b.deadline
		}
		return a.order < b.order
	}, func(w *waiter) *int { return &w.index })
}
