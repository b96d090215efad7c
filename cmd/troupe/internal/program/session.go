package program

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// Config says how programs are run. All fields are required.
type Config struct {
	Command  string        // for /bin/sh -c
	Framing  Framing       // of calls and replies
	Patience time.Duration // how long a program may take to answer a SIGINT, to end after its input has ended, and to end after SIGTERM
	MaxReply int           // bytes
	Starter  *Starter
	Errors   *Errors
}

// Open starts the program that serves a hit. It is told in its environment: TROUPE_SERVICE, TROUPE_HIT, TROUPE_THREAD, and
// TROUPE_SESSION with the client's JSON.
func (c Config) Open(_ context.Context, o *assigner.Opening) (assigner.Session, error) {
	hit := strconv.FormatUint(o.Hit, 16)
	cmd := exec.Command("/bin/sh", "-c", c.Command)
	cmd.Env = append(os.Environ(), "TROUPE_SERVICE="+o.Service, "TROUPE_HIT="+hit, "TROUPE_THREAD="+strconv.Itoa(o.Thread), "TROUPE_SESSION="+string(o.Session))
	p, err := begin(c.Starter, cmd, c.Framing, c.MaxReply, words{prefix: "[" + o.Service + " " + hit + "] ", errors: c.Errors, kept: new(string)})
	if err != nil {
		return nil, fmt.Errorf("its program did not start: %w", err)
	}
	return &session{config: c, process: p}, nil
}

// session is a hit that a program serves.
type session struct {
	config  Config
	process *process
	crashed bool
}

// crash is the end of a program that was not asked to end.
type crash struct{ text string }

// Error says how the program ended.
func (c *crash) Error() string { return c.text }

// Unwrap makes the worker end the session.
func (c *crash) Unwrap() error { return assigner.ErrPanicked }

// Call gives the call to the program and waits for its reply. When ctx ends first, the program gets SIGINT; one that has not answered after
// the patience is killed.
func (s *session) Call(ctx context.Context, c *assigner.Call) ([]byte, error) {
	text, err := s.config.Framing.encode(c.Frames)
	if err != nil {
		return nil, err
	}
	select {
	case _, open := <-s.process.replies:
		if open {
			return nil, s.crash("it answered before it was asked")
		}
		return nil, s.crash("")
	default:
	}
	answered := s.watch(ctx)
	if _, err = s.process.stdin.Write(text); err != nil {
		answered()
		return nil, s.crash("")
	}
	said, open := <-s.process.replies
	interrupted := answered()
	switch {
	case !open && interrupted:
		return nil, s.crash("it was interrupted, for the call was cancelled or out of time")
	case !open:
		return nil, s.crash("")
	case interrupted:
		return nil, ctx.Err()
	case said.failed:
		return nil, errors.New(string(said.body))
	}
	return said.body, nil
}

// watch interrupts the program when ctx ends. The returned function ends the watch, and reports whether it interrupted.
func (s *session) watch(ctx context.Context) (answered func() bool) {
	over, done := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		s.process.signal(syscall.SIGINT)
		patience := time.NewTimer(s.config.Patience)
		defer patience.Stop()
		select {
		case <-patience.C:
			s.process.signal(syscall.SIGKILL)
		case <-over:
		}
	})
	return func() bool {
		close(over)
		if stop() {
			return false
		}
		<-done
		return true
	}
}

// crash ends the program, if it has not ended, and says how it ended.
func (s *session) crash(reason string) error {
	s.crashed = true
	close(s.process.quit)
	s.process.signal(syscall.SIGKILL)
	<-s.process.gone
	if ws, ok := s.process.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && reason == "" && ws.Signal() == syscall.SIGKILL {
		reason = "it was killed, or closed its input or output"
	}
	if reason == "" {
		return &crash{"the program of this hit ended: " + s.process.fate()}
	}
	return &crash{"the program of this hit is lost: " + reason + ": " + s.process.fate()}
}

// Close ends the program's input and waits for its end; a program that stays gets SIGTERM, then SIGKILL.
func (s *session) Close() error {
	if s.crashed {
		return nil
	}
	p := s.process
	close(p.quit)
	_ = p.stdin.Close() // it may have been closed by the end of the program
	for _, next := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		patience := time.NewTimer(s.config.Patience)
		select {
		case <-p.gone:
			patience.Stop()
			return s.farewell()
		case <-patience.C:
			p.signal(next)
		}
	}
	<-p.gone
	return errors.New("the program was killed, for it ended neither with its input nor at SIGTERM: " + p.fate())
}

// farewell judges how a program ended that was asked to.
func (s *session) farewell() error {
	if s.process.cmd.ProcessState.Success() {
		return nil
	}
	return errors.New("the program ended badly: " + s.process.fate())
}
