package main

import (
	"context"
	"sync"
)

// meeting is where all clients wait for each other, each inside a transaction. The last to come runs full before all go on.
type meeting struct {
	size int
	full func(all []*teller)
	over chan struct{}

	mu   sync.Mutex
	came []*teller
}

func newMeeting(size int, full func(all []*teller)) *meeting {
	return &meeting{size: size, full: full, over: make(chan struct{})}
}

// wait returns when all have come, or ctx ends. What full has written is seen by all who return.
func (m *meeting) wait(ctx context.Context, t *teller) error {
	m.mu.Lock()
	m.came = append(m.came, t)
	if len(m.came) == m.size {
		m.full(m.came)
		close(m.over)
	}
	m.mu.Unlock()
	return await(ctx, m.over)
}

func await(ctx context.Context, event <-chan struct{}) error {
	select {
	case <-event:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
