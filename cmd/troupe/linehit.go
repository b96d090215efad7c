package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// errLeft ends the lines of a hit that is left to whoever has its ticket.
var errLeft = errors.New("left by a signal")

// lineHit is a hit whose calls are lines of the input.
type lineHit struct {
	hit        *assigner.Hit
	limit      time.Duration // of a call
	raw        bool
	shown      *progress
	idempotent bool        // the calls
	thread     string      // words about it
	ticket     *ticketFile // nil: the hit ends with this command
	kept       time.Duration
	under      chan struct{} // closed when the call that was left has ended here
}

// serve makes a call of every line of the input, then closes the hit. A hit with a ticket is left to be resumed when a signal comes, or when a call
// fails in a way that does not end it.
func (a *app) serve(ctx context.Context, l *lineHit, calls, failed int) error {
	n, bad, err := a.eachLine(ctx, l.hit, func(line []byte) error { return a.callLine(ctx, l, line) })
	calls, failed = calls+n, failed+bad
	switch {
	case err != nil && l.ticket != nil && l.hit.Err() == nil:
		return errors.Join(unlessLeft(err), a.leave(ctx, l, calls))
	case err != nil:
		return errors.Join(err, l.drop(err))
	}
	end, cancel := context.WithTimeout(ctx, l.limit)
	defer cancel()
	err = l.hit.Close(end)
	fmt.Fprintf(a.err, "hit %x: %d calls%s, %d failed\n", l.hit.Handle(), calls, l.thread, failed)
	err = errors.Join(err, l.drop(err))
	if failed > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %d %w: see above", failed, calls, errSomeFailed))
	}
	return err
}

// unlessLeft is nil where leave says all that there is to say.
func unlessLeft(err error) error {
	if errors.Is(err, errLeft) || errors.Is(err, errSignal) {
		return nil
	}
	return err
}

// callLine makes a call and prints its reply. That of a hit with a ticket goes on when a signal comes: it is whose who resumes the hit.
func (a *app) callLine(ctx context.Context, l *lineHit, line []byte) error {
	begun := time.Now()
	if l.ticket == nil {
		return a.finishLine(l, begun, func() ([][]byte, error) { return l.call(ctx, line) })
	}
	type answer struct {
		frames [][]byte
		err    error
	}
	got := make(chan answer, 1)
	l.under = make(chan struct{})
	go func() {
		defer close(l.under)
		frames, err := l.call(context.WithoutCancel(ctx), line)
		got <- answer{frames, err}
	}()
	select {
	case x := <-got:
		err := a.finishLine(l, begun, func() ([][]byte, error) { return x.frames, x.err })
		if err != nil {
			return err
		}
		return l.note()
	case <-ctx.Done():
		return errLeft
	}
}

func (l *lineHit) call(ctx context.Context, line []byte) ([][]byte, error) {
	limited, cancel := context.WithTimeout(ctx, l.limit)
	defer cancel()
	return l.hit.CallWith(limited, assigner.Request{Frames: [][]byte{line}, Progress: l.shown.report(), Idempotent: l.idempotent})
}

// finishLine prints the reply that get waits for.
func (a *app) finishLine(l *lineHit, begun time.Time, get func() ([][]byte, error)) error {
	frames, err := get()
	l.shown.flush()
	if err != nil {
		return err
	}
	r := newReply(l.hit.Service(), frames, time.Since(begun))
	r.Hit, r.Worker, r.Thread = fmt.Sprintf("%x", l.hit.Handle()), l.hit.Worker(), l.hit.Thread()
	return a.printReply(l.raw, r)
}

// note writes the ticket as of now. That of a hit that is over, or another client's by now, is left alone.
func (l *lineHit) note() error {
	if l.hit.Err() != nil {
		return nil
	}
	text, err := l.hit.Ticket()
	if err != nil {
		return err
	}
	return l.ticket.write(text)
}

// leave detaches from the hit and says how to take it up again.
func (a *app) leave(ctx context.Context, l *lineHit, calls int) error {
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	text, err := l.hit.Detach(end)
	if l.under != nil {
		<-l.under
	}
	if err != nil {
		return err
	}
	if err := l.ticket.write(text); err != nil {
		return err
	}
	return &coded{
		code: exitIncomplete, next: "troupe hit resume " + l.ticket.path,
		err: fmt.Errorf("hit %x is left after %d calls, and kept for %v: what is under way goes on", l.hit.Handle(), calls, l.kept),
	}
}

// drop removes the ticket of a hit that is over, but not where another client has taken it up: it may have the same file.
func (l *lineHit) drop(err error) error {
	if l.ticket == nil || errors.Is(err, assigner.ErrFenced) {
		return nil
	}
	return l.ticket.remove()
}
