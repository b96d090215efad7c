package bridge

import (
	"container/heap"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Timer posts one message to one PID when its time has come. It belongs to the loop's goroutine.
type Timer struct {
	loop  *Loop
	pid   *actor.PID
	msg   any
	at    time.Duration
	index int // in the heap, -1 when not set
}

// NewTimer returns a timer that posts msg to pid.
func (l *Loop) NewTimer(pid *actor.PID, msg any) *Timer {
	return &Timer{loop: l, pid: pid, msg: msg, index: -1}
}

// Set arms the timer for a time of the loop's clock, in place of an earlier one.
func (t *Timer) Set(at time.Duration) {
	if t.index >= 0 {
		if t.at == at {
			return
		}
		t.at = at
		heap.Fix(&t.loop.timers, t.index)
		return
	}
	t.at = at
	heap.Push(&t.loop.timers, t)
}

// Stop disarms the timer.
func (t *Timer) Stop() {
	if t.index >= 0 {
		heap.Remove(&t.loop.timers, t.index)
	}
}

// fire posts what is due and returns how many.
func (l *Loop) fire() int {
	n := 0
	for len(l.timers) > 0 && l.timers[0].at <= time.Duration(l.now) {
		t := l.timers[0]
		heap.Pop(&l.timers)
		l.cfg.System.Root.Send(t.pid, t.msg)
		n++
	}
	return n
}

type timers []*Timer

// Len is heap.Interface's.
func (h timers) Len() int { return len(h) }

// Less is heap.Interface's.
func (h timers) Less(i, j int) bool { return h[i].at < h[j].at }

// Swap is heap.Interface's.
func (h timers) Swap(i, j int) { h[i], h[j] = h[j], h[i]; h[i].index, h[j].index = i, j }

// Push is heap.Interface's.
func (h *timers) Push(x any) {
	t, _ := x.(*Timer)
	t.index = len(*h)
	*h = append(*h, t)
}

// Pop is heap.Interface's.
func (h *timers) Pop() any {
	n := len(*h) - 1
	t := (*h)[n]
	(*h)[n] = nil
	*h = (*h)[:n]
	t.index = -1
	return t
}
