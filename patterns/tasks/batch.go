package tasks

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"time"
)

// Batch is many tasks. It is safe for use by many goroutines.
type Batch struct {
	handles []*Handle
	begun   time.Time
	ended   chan *Handle // each of them, as it ends
	index   map[*Handle]int
}

// Result is what one task of a batch came to.
type Result struct {
	Index int // in the batch, from 0
	Reply []byte
	Err   error // an *Error
}

// Map submits one task for each body, with the spec for all the rest. It takes the sequence to its end before it returns. A spec with an ID gives the tasks
// the IDs ID/0, ID/1 and so on.
func (c *Client) Map(ctx context.Context, s Spec, bodies iter.Seq[[]byte]) *Batch {
	var specs []Spec
	for body := range bodies {
		one := s
		one.Body = body
		if s.ID != "" {
			one.ID = numbered(s.ID, len(specs))
		}
		specs = append(specs, one)
	}
	return c.SubmitAll(ctx, specs)
}

// SubmitAll submits many tasks.
func (c *Client) SubmitAll(ctx context.Context, specs []Spec) *Batch {
	b := &Batch{begun: time.Now(), ended: make(chan *Handle, len(specs)), index: make(map[*Handle]int, len(specs))}
	for i, s := range specs {
		h := c.Submit(ctx, s)
		b.handles = append(b.handles, h)
		b.index[h] = i
	}
	for _, h := range b.handles {
		context.AfterFunc(h.ctx, func() { <-h.done; b.ended <- h }) // every task's context ends with it
	}
	return b
}

// Handles returns the tasks in order. The slice is the batch's.
func (b *Batch) Handles() []*Handle { return b.handles }

// Progress returns how many tasks are over, and how many there are.
func (b *Batch) Progress() (over, all int) {
	for _, h := range b.handles {
		if h.Ready() {
			over++
		}
	}
	return over, len(b.handles)
}

// Ready reports whether all tasks are over.
func (b *Batch) Ready() bool {
	over, all := b.Progress()
	return over == all
}

// Elapsed returns how long ago the batch was submitted.
func (b *Batch) Elapsed() time.Duration { return time.Since(b.begun) }

// Cancel cancels all tasks that are not over.
func (b *Batch) Cancel() {
	for _, h := range b.handles {
		h.Cancel()
	}
}

// Wait waits for all tasks and returns their replies in order; the reply of one that has failed is nil, and the error joins all of theirs. When ctx ends
// first, that is the error, and the tasks go on.
func (b *Batch) Wait(ctx context.Context) ([][]byte, error) {
	all := make([][]byte, len(b.handles))
	var errs []error
	for i, h := range b.handles {
		reply, err := h.Wait(ctx)
		if err != nil && ctx.Err() != nil && !h.Ready() {
			return all, ctx.Err()
		}
		if err != nil {
			errs = append(errs, err)
		}
		all[i] = reply
	}
	return all, errors.Join(errs...)
}

// InOrder yields the results in the order of the batch, each as soon as it is there. It ends early when ctx ends: the last result has its error.
func (b *Batch) InOrder(ctx context.Context) iter.Seq[Result] {
	return func(yield func(Result) bool) {
		for i, h := range b.handles {
			reply, err := h.Wait(ctx)
			if !yield(Result{i, reply, err}) || ctx.Err() != nil && !h.Ready() {
				return
			}
		}
	}
}

// AsTheyCome yields the results in the order in which the tasks end. Only one loop over it gets a result; several share them. It ends early when ctx ends: the last
// result has the Index -1 and its error.
func (b *Batch) AsTheyCome(ctx context.Context) iter.Seq[Result] {
	return func(yield func(Result) bool) {
		for range b.handles {
			select {
			case h := <-b.ended:
				if !yield(Result{b.index[h], first(h.reply), h.err}) {
					return
				}
			case <-ctx.Done():
				yield(Result{Index: -1, Err: ctx.Err()})
				return
			}
		}
	}
}

func first(frames [][]byte) []byte {
	if len(frames) == 0 {
		return nil
	}
	return frames[0]
}

// numbered is the id of one task of a batch.
func numbered(id string, n int) string { return id + "/" + strconv.Itoa(n) }
