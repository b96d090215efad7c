package bridge

import (
	"sync"
	"sync/atomic"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// runq is the loop's dispatcher: mailboxes that are ready, run inline by the loop in order. Schedule is safe from any
// goroutine and wakes the loop only if it sleeps.
type runq struct {
	mu         sync.Mutex
	ready      []func()
	spare      []func()
	posted     atomic.Bool // something may be in ready, or another source has work
	asleep     atomic.Bool
	closed     bool
	late       sync.Mutex // after the end: turns still run one at a time
	wake       *zmqsock.Wake
	throughput int
}

// Schedule queues one turn of a mailbox. After the loop has ended it runs on a goroutine of its own, so that late
// system messages (a Watch of a dead actor) are still answered; still never two at a time, which the actors rely on.
func (q *runq) Schedule(fn func()) {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		go q.runLate(fn)
		return
	}
	q.ready = append(q.ready, fn)
	q.mu.Unlock()
	q.rouse()
}

// Throughput returns how many messages an actor may handle per turn.
func (q *runq) Throughput() int { return q.throughput }

// rouse wakes the loop if it sleeps.
func (q *runq) rouse() {
	if q.asleep.Load() && q.asleep.CompareAndSwap(true, false) {
		q.wake.Wake()
	}
}

// run runs what is ready now, and what that makes ready, up to the given number of turns. It returns how many ran.
func (q *runq) run(limit int) int {
	n := 0
	for n < limit {
		q.mu.Lock()
		batch := q.ready
		q.ready = q.spare[:0]
		q.mu.Unlock()
		if len(batch) == 0 {
			q.spare = batch
			break
		}
		for i, fn := range batch {
			fn()
			batch[i] = nil
		}
		n += len(batch)
		q.spare = batch
	}
	return n
}

func (q *runq) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.ready) == 0
}

// close runs what is left and sends later turns to goroutines of their own.
func (q *runq) close() {
	q.late.Lock()
	defer q.late.Unlock()
	q.mu.Lock()
	left := q.ready
	q.ready, q.spare, q.closed = nil, nil, true
	q.mu.Unlock()
	for _, fn := range left {
		fn()
	}
}

func (q *runq) runLate(fn func()) {
	q.late.Lock()
	defer q.late.Unlock()
	fn()
}
