package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// ServiceName is the service that all workers offer, in Go and in Python. A hit's option "session" is {"key": its key}; a call's body is "NO MS": its number and how many
// milliseconds it takes, asleep, or computing where they are negative. The reply is "KEY NO COUNT", COUNT being the session's own count of its calls. A call with a body in parts gets that back in parts, behind
// the same.
const ServiceName = "chaos"

// ServiceAgain is the same for calls that may run more than once, and is repaired by restart: a hit may have several sessions, one after another, and the journal names each of them
// KEY~N.
const ServiceAgain = "chaos-again"

// Serve returns the service.
func (j *Journal) Serve() assigner.Service { return j.serve(false) }

// ServeAgain returns ServiceAgain.
func (j *Journal) ServeAgain() assigner.Service {
	s := j.serve(true)
	s.Repair = assigner.RepairRestart
	return s
}

func (j *Journal) serve(again bool) assigner.Service {
	return assigner.Service{Open: func(_ context.Context, o *assigner.Opening) (assigner.Session, error) {
		s := &session{journal: j}
		if err := json.Unmarshal(o.Session, &s.about); err != nil {
			return nil, fmt.Errorf("the option session: %w", err)
		}
		s.name = s.about.Key
		if again {
			s.name = fmt.Sprintf("%s%s%d", s.about.Key, manySessions, Now())
		}
		return s, nil
	}}
}

// manySessions parts a hit's key from the number of its session in the journal.
const manySessions = "~"

// about is what a client tells of a hit.
type about struct {
	Key string `json:"key"`
}

type session struct {
	journal *Journal
	about   about
	name    string // in the journal
	count   int
}

// Call serves a call.
func (s *session) Call(_ context.Context, c *assigner.Call) ([]byte, error) {
	var no, ms int
	if _, err := fmt.Sscanf(string(c.Body()), "%d %d", &no, &ms); err != nil {
		return nil, fmt.Errorf("the body is %q, not a number and milliseconds: %w", c.Body(), err)
	}
	if err := s.journal.Begin(s.name, no, c.Seq, unix.Gettid()); err != nil {
		return nil, err
	}
	s.count++
	reply := fmt.Appendf(nil, "%s %d %d", s.about.Key, no, s.count)
	var failed error
	if c.Size() != 0 {
		failed = echo(c, reply)
	} else {
		work(ms)
	}
	if err := s.journal.End(s.name, no); err != nil {
		return nil, err
	}
	return reply, failed
}

// echo sends back what comes in parts.
func echo(c *assigner.Call, head []byte) error {
	out, err := c.Output(c.Size(), head)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, c.Input()); err != nil {
		return err
	}
	return out.Close()
}

// work keeps the thread for some milliseconds, deaf to everything: asleep in the kernel, or computing where they are negative.
func work(ms int) {
	if ms < 0 {
		for end := time.Now().Add(time.Duration(-ms) * time.Millisecond); time.Now().Before(end); {
		}
		return
	}
	left := unix.NsecToTimespec((time.Duration(ms) * time.Millisecond).Nanoseconds())
	for err := error(unix.EINTR); errors.Is(err, unix.EINTR); {
		err = unix.Nanosleep(&left, &left)
	}
}

// Close ends the session.
func (s *session) Close() error { return s.journal.Close(s.name, unix.Gettid()) }

// pid is this process's, for keys.
func pid() int { return os.Getpid() }
