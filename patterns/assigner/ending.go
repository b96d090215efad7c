package assigner

import (
	"context"
	"fmt"
	"sync/atomic"
)

// ending is the end of a broker, worker or client: it comes about once, and who asks for it again waits for it as long as they want to.
type ending struct {
	asked atomic.Bool
	begun chan struct{} // closed when it was asked for
	done  chan struct{} // closed when it has come about
	err   error         // what it came to, once done is closed
}

func newEnding() ending { return ending{begun: make(chan struct{}), done: make(chan struct{})} }

// come brings the end about, or waits for it where somebody else does so.
func (e *ending) come(ctx context.Context, end func() error) error {
	if e.asked.CompareAndSwap(false, true) {
		close(e.begun)
		e.err = end()
		close(e.done)
		return e.err
	}
	select {
	case <-e.done:
		return e.err
	case <-ctx.Done():
	}
	select {
	case <-e.done: // a context that has ended must not hide it
		return e.err
	default:
		return fmt.Errorf("assigner: another Close is still under way: %w", context.Cause(ctx))
	}
}

// unless returns err, or nil where a part has ended because of the ending.
func (e *ending) unless(err error) error {
	select {
	case <-e.begun:
		return nil
	default:
		return err
	}
}
