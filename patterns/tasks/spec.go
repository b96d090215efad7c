package tasks

import (
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/patterns/tasks/machine"
)

// Spec says what is to be done, and by whom. Service is required; the other zero values are the documented defaults.
type Spec struct {
	Service string
	Body    []byte   // of the call; not to be changed until the task is over
	Frames  [][]byte // in place of Body, where the service takes several
	Topic   string   // shown in listings of queues, at most 128 bytes
	Session any      // for the worker's session, as JSON

	// Target says who may have it; the zero Target: any worker of the service. A worker that is busy is waited for.
	Target assigner.Target

	// Deadline is how long the task may take from its submission to its answer, all attempts and waits together; 0: for ever. A task that is running then is
	// cancelled: its thread is told.
	Deadline time.Duration

	// Retry says how often, and when, a task that has failed is run again, on a worker that has not failed it where there is one. More than none promises
	// that it may run more than once. The zero Retry: never.
	Retry Retry

	// ID makes it a task that the broker knows: submitted twice with the same ID it runs once, and both get its answer; it goes on when this process is gone, and
	// Client.Attach comes back for its answer, which is kept for Keep (default 10 min, at most as the broker's --max-keep allows).
	ID   string
	Keep time.Duration

	// Progress is called for every report of progress, one at a time: it must not block.
	Progress func(assigner.Progress)
}

// Retry says how often, and when, a task that has failed is run again.
type Retry struct {
	Most      int           // times, besides the first one
	Base, Max time.Duration // of the back-off, random up to Base, 2*Base, 4*Base, ... and at most Max; defaults 50 ms and 5 s
}

const defaultKeep = 10 * time.Minute

// Validate reports the first field that cannot be used. What only the broker knows to be wrong is told by the task's error.
func (s *Spec) Validate() error {
	if err := wire.CheckService([]byte(s.Service)); err != nil {
		return fmt.Errorf("tasks: Spec.Service: %w", err)
	}
	if s.Target != (assigner.Target{}) {
		if err := s.Target.Validate(); err != nil {
			return fmt.Errorf("tasks: Spec.Target: %w", err)
		}
	}
	switch {
	case s.Body != nil && s.Frames != nil:
		return fmt.Errorf("tasks: Spec has a Body of %d bytes and %d Frames: set one of the two", len(s.Body), len(s.Frames))
	case s.Deadline < 0:
		return fmt.Errorf("tasks: Spec.Deadline is %v: it may not be negative; 0 is none", s.Deadline)
	case s.Retry.Most < 0 || s.Retry.Base < 0 || s.Retry.Max < 0:
		return fmt.Errorf("tasks: Spec.Retry is %+v: nothing of it may be negative", s.Retry)
	case s.ID == "" && s.Keep != 0:
		return fmt.Errorf("tasks: Spec.Keep is %v, but there is no ID to come back for the answer with: set one", s.Keep)
	case s.Keep < 0:
		return fmt.Errorf("tasks: Spec.Keep is %v: it may not be negative", s.Keep)
	case len(s.Topic) > wire.MaxName:
		return fmt.Errorf("tasks: Spec.Topic has %d bytes: at most %d are possible", len(s.Topic), wire.MaxName)
	}
	return nil
}

func (s *Spec) retry() machine.Retry {
	r := machine.Retry{Most: s.Retry.Most, Base: s.Retry.Base, Max: s.Retry.Max}
	if r.Base == 0 {
		r.Base = 50 * time.Millisecond
	}
	if r.Max == 0 {
		r.Max = max(5*time.Second, r.Base)
	}
	return r
}

// open is the request of one attempt.
func (s *Spec) open(avoid []string, again, attach bool) assigner.OpenRequest {
	r := assigner.OpenRequest{Service: s.Service, Label: s.Topic, Session: s.Session, Target: shun(s.Target, avoid)}
	if s.ID != "" {
		r.Task = assigner.Task{ID: s.ID, Keep: s.Keep, Again: again, Attach: attach}
		if s.Keep == 0 {
			r.Task.Keep = defaultKeep
		}
	}
	return r
}

// shun narrows a target that leaves a choice to those that are not to be avoided. Who is left with nobody is told so, and submits again without.
func shun(t assigner.Target, avoid []string) assigner.Target {
	if len(avoid) == 0 || t.Worker != "" || t.Member != "" || t.Key != "" {
		return t
	}
	for _, m := range avoid {
		if t.Where != "" {
			t.Where += ","
		}
		t.Where += "member!=" + m
	}
	t.Absent = assigner.AbsentFail
	return t
}

func (s *Spec) request() assigner.Request {
	r := assigner.Request{Frames: s.Frames, Progress: s.Progress, Idempotent: s.Retry.Most > 0}
	if s.Frames == nil {
		r.Frames = [][]byte{s.Body}
	}
	return r
}
