package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// errSomeFailed is the error of a hit of which single calls failed; each of them has been told.
var errSomeFailed = errors.New("calls of the hit failed")

// errSignal ends a hit between two lines.
var errSignal = errors.New("ended by a signal")

// callLines opens a hit and makes a call of every line of the input, one after the other.
func (a *app) callLines(ctx context.Context, c *assigner.Client, f *callFlags, open assigner.OpenRequest, shown *progress) error {
	hit, err := openHit(ctx, c, f.timeout, open)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.err, "hit %x: %s at worker %s%s\n", hit.Handle(), cell(hit.Service()), cell(hit.Worker()), onThread(hit.Thread()))
	l := &lineHit{hit: hit, limit: f.timeout, raw: f.raw, idempotent: f.idempotent, shown: shown, thread: onThread(hit.Thread())}
	if open.Resume > 0 {
		if err := a.keep(l, f.ticket, open.Resume); err != nil {
			return err
		}
	}
	return a.serve(ctx, l, 0, 0)
}

// keep writes the hit's ticket, and tells how long the hit is kept.
func (a *app) keep(l *lineHit, path string, asked time.Duration) error {
	text, err := l.hit.Ticket()
	if err != nil {
		return err
	}
	about, err := assigner.AboutTicket(text)
	if err != nil {
		return err
	}
	l.kept = about.Kept
	if l.kept < asked {
		fmt.Fprintf(a.err, "the broker keeps hits for %v only (its --max-resume)\n", l.kept)
	}
	if path == "" {
		return nil
	}
	l.ticket = &ticketFile{path}
	return l.ticket.write(text)
}

func openHit(ctx context.Context, c *assigner.Client, limit time.Duration, r assigner.OpenRequest) (*assigner.Hit, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return c.OpenWith(ctx, r)
}

func onThread(id int) string {
	if id == 0 {
		return ", no thread of its own"
	}
	return fmt.Sprintf(", thread %d", id)
}

// eachLine calls do for every line of the input, until ctx or the hit ends. An error that the service answered with is told and counted; any other one
// ends it.
func (a *app) eachLine(ctx context.Context, hit *assigner.Hit, do func(line []byte) error) (calls, failed int, err error) {
	lines, unread := a.lines(ctx)
	over := hit.Done()
	for {
		select {
		case <-over:
			return calls, failed, hit.Err()
		case <-ctx.Done():
			return calls, failed, incomplete(fmt.Errorf("%w after %d calls", errSignal, calls))
		case line, more := <-lines:
			if !more {
				return calls, failed, <-unread
			}
			calls++
			err := do(line)
			switch {
			case errors.Is(err, assigner.ErrService):
				failed++
				a.complain(err)
			case err != nil:
				return calls, failed, err
			}
		}
	}
}

// lines reads the input line by line. The reader cannot be interrupted while it waits for input: it ends with it, or with the process.
func (a *app) lines(ctx context.Context) (<-chan []byte, <-chan error) {
	lines, unread := make(chan []byte), make(chan error, 1)
	go func() {
		defer close(lines)
		r := bufio.NewReader(a.in)
		for {
			line, err := r.ReadBytes('\n')
			if n := len(line); n > 0 && line[n-1] == '\n' {
				line = line[:n-1]
			} else if n == 0 && err != nil {
				if errors.Is(err, io.EOF) {
					err = nil
				}
				unread <- err
				return
			}
			select {
			case lines <- line:
			case <-ctx.Done():
				unread <- nil
				return
			}
		}
	}()
	return lines, unread
}
