package assigner

import (
	"context"
	"time"
)

// turns are how many calls of a worker run at a time, where it takes more hits than that: the others wait here, as the credit of its broker. A nil one lets everybody run.
type turns struct{ free chan struct{} }

// turnSign is how often a call that waits gives a sign: it waits for others, and is not stuck.
const turnSign = time.Second

func newTurns(n int) *turns {
	t := &turns{free: make(chan struct{}, n)}
	for range n {
		t.free <- struct{}{}
	}
	return t
}

// take waits for a turn and tells by sign that it does; false: ctx has ended.
func (t *turns) take(ctx context.Context, sign func()) bool {
	if t == nil {
		return true
	}
	select {
	case <-t.free:
		return true
	default:
	}
	tick := time.NewTicker(turnSign)
	defer tick.Stop()
	for {
		select {
		case <-t.free:
			if ctx.Err() != nil {
				t.give()
				return false
			}
			return true
		case <-tick.C:
			sign()
		case <-ctx.Done():
			return false
		}
	}
}

func (t *turns) give() {
	if t != nil {
		t.free <- struct{}{}
	}
}
