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

	machine  *machine.Task // of who does what is next
	running  atomic.Bool
	done     chan struct{}
	progress atomic.Uint64 // bits of a float64
	reply    [][]byte      // once done, as all that follows
	member   string
	err      error

	mu       sync.Mutex
	attempts []Attempt

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
func (h *Handle) Running() bool { return h.running.Load() }

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

// start makes the first attempt of a task that has its turn, and reports false where the task is over without one.
func (h *Handle) start() bool {
	h.machine = machine.New(h.spec.retry(), h.spec.Deadline, rand.Int64N)
	e := h.machine.Tick(h.now())
	if e.Settle {
		h.settle(e.Late)
		return false
	}
	h.running.Store(true)
	h.next(e)
	return true
}

// next does what the machine wants. One goroutine after another does: who has submitted the task, the client's loop, or one that waits for the next attempt.
func (h *Handle) next(e machine.Effect) {
	switch {
	case e.Run:
		h.attempt(e.Avoid)
	case e.Settle:
		h.settle(e.Late)
		h.client.over(h)
	default:
		h.client.resting.Go(h.rest)
	}
}

// rest waits for the next attempt.
func (h *Handle) rest() {
	if h.pause(h.machine.Deadline()) {
		h.next(h.machine.Tick(h.now()))
		return
	}
	h.machine.Cancel()
	h.next(machine.Effect{Settle: true})
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

// attempt gives the task to the broker once.
func (h *Handle) attempt(avoid []string) {
	ctx, cancel := h.ctx, context.CancelFunc(nothing)
	if h.spec.Deadline > 0 {
		ctx, cancel = context.WithDeadline(ctx, h.begun.Add(h.spec.Deadline))
	}
	request := h.spec.request()
	request.Progress = h.progressed
	began, avoids := time.Now(), len(avoid) > 0
	h.client.at(h.spec.ID).DoLater(ctx, h.spec.open(avoid, h.machine.Attempts() > 0, h.attach), request, func(answer assigner.Answer, err error) {
		cancel()
		h.attempted(Attempt{answer.Member, began, time.Since(began), err}, answer.Frames, avoids)
	})
}

func nothing() {}

// progressed takes a report of progress. It runs on the client's loop.
func (h *Handle) progressed(p assigner.Progress) {
	h.progress.Store(math.Float64bits(p.Done))
	if h.spec.Progress != nil {
		h.spec.Progress(p)
	}
}

// attempted takes the end of an attempt.
func (h *Handle) attempted(a Attempt, reply [][]byte, avoids bool) {
	v := judge(&h.spec, avoids, a.Err)
	if v != machine.Alone {
		h.note(a)
	}
	if a.Err == nil {
		h.reply, h.member = reply, a.Member
	}
	e := machine.Effect{Settle: true}
	if h.ctx.Err() == nil || a.Err == nil {
		e = h.machine.Ended(h.now(), v, a.Member)
	}
	if !e.Settle && !e.Run {
		e = h.machine.Tick(h.now()) // it may be due at once
	}
	h.next(e)
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
