package tasks

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/patterns/tasks/machine"
)

// Handle is a task that was submitted. It is safe for use by many goroutines.
type Handle struct {
	client *Client
	spec   Spec
	attach bool
	begun  time.Time
	ctx    context.Context
	cancel context.CancelCauseFunc

	done     chan struct{}
	progress atomic.Uint64 // bits of a float64
	reply    [][]byte      // once done, as all that follows
	member   string
	err      error

	mu       sync.Mutex
	attempts []Attempt
	running  bool

	queued bool // it waits here; the client's
}

// ID returns the task's id, empty if it has none.
func (h *Handle) ID() string { return h.spec.ID }

// Done returns a channel that is closed when the task is over.
func (h *Handle) Done() <-chan struct{} { return h.done }

// Ready reports whether the task is over.
func (h *Handle) Ready() bool {
	select {
	case <-h.done:
		return true
	default:
		return false
	}
}

// Wait waits until the task is over, or ctx ends, which ends the wait and not the task. It returns the reply's first frame, which is the caller's. The error
// of a task that has failed is an *Error.
func (h *Handle) Wait(ctx context.Context) ([]byte, error) {
	frames, err := h.Frames(ctx)
	if err != nil || len(frames) == 0 {
		return nil, err
	}
	return frames[0], nil
}

// Frames is Wait for replies of several frames.
func (h *Handle) Frames(ctx context.Context) ([][]byte, error) {
	select {
	case <-h.done:
		return h.reply, h.err
	default:
	}
	select {
	case <-h.done:
		return h.reply, h.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Cancel ends the task: where it waits it is taken out of the queue, where it runs its thread is told. A task with an ID is cancelled for all who wait for it.
// Wait tells what came of it.
func (h *Handle) Cancel() { h.cancel(ErrCancelled) }

// Progress returns how much is done, from 0 to 1, as the task has said itself; 1 when it was answered.
func (h *Handle) Progress() float64 { return math.Float64frombits(h.progress.Load()) }

// Running reports whether the task is at the broker at present, waiting for a worker or at one; before that it waits here.
func (h *Handle) Running() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.running
}

// Attempts returns the attempts that have ended.
func (h *Handle) Attempts() []Attempt {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Attempt{}, h.attempts...)
}

// Member returns who has answered the task, as assigner.Member.ID; empty until it is done, or where it has failed.
func (h *Handle) Member() string {
	if !h.Ready() {
		return ""
	}
	return h.member
}

// run is the goroutine of a task that has its turn.
func (h *Handle) run() {
	var until time.Duration
	if h.spec.Deadline > 0 {
		until = h.spec.Deadline
	}
	m := machine.New(h.spec.retry(), until, rand.Int64N)
	for {
		e := m.Tick(h.now())
		if e.Run {
			e = h.attempt(m, e.Avoid)
		}
		if e.Settle {
			h.settle(e.Late)
			return
		}
		if !h.pause(m.Deadline()) {
			m.Cancel()
			h.settle(false)
			return
		}
	}
}

// pause waits until then, 0: for ever, and reports false where the task was cancelled before.
func (h *Handle) pause(until time.Duration) bool {
	var over <-chan time.Time
	if until > 0 {
		timer := time.NewTimer(until - h.now())
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
		return true
	case <-h.ctx.Done():
		return false
	}
}

// now is the task's clock, which never stands at zero.
func (h *Handle) now() time.Duration { return max(time.Since(h.begun), 1) }

// attempt gives the task to the broker once, and waits.
func (h *Handle) attempt(m *machine.Task, avoid []string) machine.Effect {
	ctx := h.ctx
	if h.spec.Deadline > 0 {
		c, cancel := context.WithDeadline(ctx, h.begun.Add(h.spec.Deadline))
		defer cancel()
		ctx = c
	}
	spec := h.spec
	spec.Progress = func(p assigner.Progress) {
		h.progress.Store(math.Float64bits(p.Done))
		if h.spec.Progress != nil {
			h.spec.Progress(p)
		}
	}
	began := time.Now()
	answer, err := h.client.at(spec.ID).DoAt(ctx, spec.open(avoid, m.Attempts() > 0, h.attach), spec.request())
	v := judge(&spec, len(avoid) > 0, err)
	if v != machine.Alone {
		h.note(Attempt{answer.Member, began, time.Since(began), err})
	}
	if err == nil {
		h.reply, h.member = answer.Frames, answer.Member
	}
	if h.ctx.Err() != nil && err != nil {
		return machine.Effect{Settle: true}
	}
	return m.Ended(h.now(), v, answer.Member)
}

// note keeps an attempt. Of those that found no room the last one is told.
func (h *Handle) note(a Attempt) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.attempts); n > 0 && a.Member == "" && h.attempts[n-1].Member == "" {
		h.attempts = h.attempts[:n-1]
	}
	h.attempts = append(h.attempts, a)
}

// tooLate reports that the deadline ended the last attempt: here, or at the worker, which knows it.
func (h *Handle) tooLate() bool {
	n := len(h.attempts)
	if n == 0 || h.spec.Deadline == 0 {
		return false
	}
	err := h.attempts[n-1].Err
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, assigner.ErrExpired)
}

// settle ends the task.
func (h *Handle) settle(late bool) {
	n := len(h.attempts)
	switch {
	case n > 0 && h.attempts[n-1].Err == nil:
		h.progress.Store(math.Float64bits(1))
	case h.ctx.Err() != nil:
		h.err = h.failure(context.Cause(h.ctx))
	case late || h.tooLate():
		h.err = h.failure(ErrDeadline)
	default:
		h.err = h.failure(nil)
	}
	h.cancel(nil)
	close(h.done)
}
