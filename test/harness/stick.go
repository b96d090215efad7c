package harness

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// Manner is how a hit's thread is stuck.
type Manner string

// The manners, by the demo services of `troupe worker` that do so.
const (
	Computing Manner = "spin" // on the processor, deaf to its cancellation
	Asleep    Manner = "doze" // in the kernel, deaf to its cancellation
)

// Stuck is a hit whose thread makes no progress.
type Stuck struct {
	Hit  *assigner.Hit
	done chan error
}

// Stick opens a hit at a worker with the demo services and makes a call that does not return for so long, deaf to everything. It returns when the call is under way at the
// broker. The thread is free again after that time, whatever the test does.
func (s *System) Stick(c *assigner.Client, how Manner, d time.Duration) *Stuck {
	s.t.Helper()
	ctx := Context(s.t)
	h, err := c.Open(ctx, string(how))
	s.must(err)
	s.Note(Fault, h.Worker(), "thread %d of hit %x is stuck, %s, for %v", h.Thread(), h.Handle(), how, d)
	stuck := &Stuck{Hit: h, done: make(chan error, 1)}
	go func() {
		_, err := h.Call(s.t.Context(), []byte(d.String()))
		stuck.done <- err
	}()
	Until(s.t, "the call is under way", func() bool {
		v, err := h.IsAlive(ctx)
		return err != nil || v.Running > 0 || len(stuck.done) > 0
	})
	return stuck
}

// Handle returns the hit's handle as why-records have it.
func (s *Stuck) Handle() string { return strconv.FormatUint(s.Hit.Handle(), 16) }

// Wait returns what became of the call.
func (s *Stuck) Wait(ctx context.Context) error {
	select {
	case err := <-s.done:
		s.done <- err
		return err
	case <-ctx.Done():
		return fmt.Errorf("harness: the call of the stuck hit has not ended: %w", context.Cause(ctx))
	}
}
