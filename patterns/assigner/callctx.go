package assigner

import (
	"context"
	"sync"
	"time"
)

// callContext is the context of one call. Its channel and timer are made only when somebody waits for them, which most
// handlers never do.
type callContext struct {
	parent   context.Context // the session's
	deadline time.Time       // zero: none

	mu     sync.Mutex
	done   chan struct{}
	err    error
	timer  *time.Timer
	detach func() bool
}

// Deadline returns the call's deadline.
func (c *callContext) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// Value returns the session context's value.
func (c *callContext) Value(key any) any { return c.parent.Value(key) }

// Done returns a channel that is closed when the call should stop.
func (c *callContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done != nil {
		return c.done
	}
	c.done = make(chan struct{})
	if c.err != nil {
		close(c.done)
		return c.done
	}
	c.detach = context.AfterFunc(c.parent, func() { c.cancel(context.Canceled) })
	if !c.deadline.IsZero() {
		c.timer = time.AfterFunc(time.Until(c.deadline), func() { c.cancel(context.DeadlineExceeded) })
	}
	return c.done
}

// Err returns why the call should stop, nil while it should not.
func (c *callContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil:
		return c.err
	case c.parent.Err() != nil:
		return c.parent.Err()
	case !c.deadline.IsZero() && !time.Now().Before(c.deadline):
		return context.DeadlineExceeded
	}
	return nil
}

// cancel ends the context; the first reason stays.
func (c *callContext) cancel(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	if c.done != nil {
		close(c.done)
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.detach != nil {
		c.detach()
	}
}
