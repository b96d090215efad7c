package main

import (
	"maps"
	"sync"
)

// overlap counts the transactions that are open at the same moment, per worker process. A transaction counts from the answer to its first statement
// behind BEGIN, when it holds a snapshot or a lock, until its COMMIT or ROLLBACK is sent. So the worker has at least as many open. It is safe for
// concurrent use.
type overlap struct {
	mu   sync.Mutex
	open map[place]bool
	now  map[int]int // by process id
	most map[int]int
}

// place is a thread of a process.
type place struct{ pid, thread int }

func newOverlap() *overlap {
	return &overlap{open: make(map[place]bool), now: make(map[int]int), most: make(map[int]int)}
}

// enter counts a transaction. A thread has one at most, since a hit has one; that a second one appears there tells of a shared thread.
func (o *overlap) enter(at place) (alone bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open[at] {
		return false
	}
	o.open[at] = true
	o.now[at.pid]++
	o.most[at.pid] = max(o.most[at.pid], o.now[at.pid])
	return true
}

func (o *overlap) leave(at place) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.open, at)
	if o.now[at.pid]--; o.now[at.pid] == 0 {
		delete(o.now, at.pid)
	}
}

// present returns how many transactions are open now, each on a thread of its own, by process id.
func (o *overlap) present() map[int]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.now)
}

// peak returns how many were open at most, by process id.
func (o *overlap) peak() map[int]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.most)
}
