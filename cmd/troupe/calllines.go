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

// callLines opens a hit and makes a call of every line of the input, one after the other.
func (a *app) callLines(ctx context.Context, c *assigner.Client, f *callFlags, open assigner.OpenRequest, shown *progress) error {
	hit, err := openHit(ctx, c, f.timeout, open)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.err, "hit %x: %s at worker %s%s\n", hit.Handle(), cell(hit.Service()), cell(hit.Worker()), onThread(hit.Thread()))
	calls, failed, err := a.eachLine(ctx, func(line []byte) error {
		limited, cancel := context.WithTimeout(ctx, f.timeout)
		defer cancel()
		begun := time.Now()
		frames, err := hit.CallWith(limited, assigner.Request{Frames: [][]byte{line}, Progress: shown.report()})
		shown.flush()
		if err != nil {
			return err
		}
		r := newReply(open.Service, frames, time.Since(begun))
		r.Hit, r.Worker, r.Thread = fmt.Sprintf("%x", hit.Handle()), hit.Worker(), hit.Thread()
		return a.printReply(f.raw, r)
	})
	if err != nil {
		return err
	}
	end, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	err = hit.Close(end)
	fmt.Fprintf(a.err, "hit %x: %d calls%s, %d failed\n", hit.Handle(), calls, onThread(hit.Thread()), failed)
	if failed > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %d %w: see above", failed, calls, errSomeFailed))
	}
	return err
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

// eachLine calls do for every line of the input, until ctx ends. An error that the service answered with is told and counted; any other one ends it.
func (a *app) eachLine(ctx context.Context, do func(line []byte) error) (calls, failed int, err error) {
	lines, unread := a.lines(ctx)
	for {
		select {
		case <-ctx.Done():
			return calls, failed, incomplete(fmt.Errorf("ended by a signal after %d calls", calls))
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
