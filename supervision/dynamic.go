package supervision

import (
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
)

// A requester says where the answer to a request goes: an actor's context, or
// an ask from outside.
//
// answerer returns nil if nobody wants the answer, so that nothing is kept.
func answerer[T any](from any, replyTo *actor.PID) func(T) {
	switch f := from.(type) {
	case ask:
		return func(m T) { f.answer(m) }
	case actor.Context:
		if replyTo == nil {
			replyTo = f.Sender()
		}
		if replyTo == nil {
			return nil
		}
		system := f.ActorSystem()
		return func(m T) { system.Root.Send(replyTo, m) }
	}
	return nil
}

// request handles the messages of messages.go; from is the ask or the context
// it came with. What is not known becomes a dead letter.
func (s *supervisor) request(ctx actor.Context, message, from any) {
	switch m := message.(type) {
	case *StartChild:
		s.startChild(ctx, m.Spec, m.First, answerer[*Started](from, m.ReplyTo))
	case *StartTemporary:
		s.startTemporary(ctx, m, answerer[*Started](from, m.ReplyTo))
	case *StopChild:
		s.stopChild(ctx, m.ID, answerer[*ChildStopped](from, m.ReplyTo))
	case *Abandon:
		s.giveUp(ctx, m)
	case *Watch:
		s.watch(ctx, m)
	case *Unwatch:
		s.unwatch(m)
	case *List:
		if answer := answerer[*Listing](from, m.ReplyTo); answer != nil {
			answer(s.list())
		}
	case *Stop:
		s.shut(ctx, Shutdown{})
	case *actor.Restarting, actor.SystemMessage, actor.AutoReceiveMessage:
	default:
		deadLetter(ctx)
	}
}

// admit answers a start that cannot be, or puts it off until the static
// children are up.
func (s *supervisor) admit(id string, answer func(*Started), later func(actor.Context)) bool {
	refuse := func(pid *actor.PID, err error) bool {
		if answer != nil {
			answer(&Started{ID: id, PID: pid, Err: err})
		}
		return false
	}
	if s.phase >= closing {
		return refuse(nil, fmt.Errorf("start child %q: %w", id, ErrStopping))
	}
	if s.phase == starting || s.phase == regrouping {
		s.early = append(s.early, later)
		return false
	}
	if id == "" {
		return refuse(nil, errors.New("start child: ID is empty: give the child a name that is unique within its supervisor"))
	}
	if g := s.temps[id]; g != nil {
		return refuse(g.pid, fmt.Errorf("start child %q: %w", id, ErrDuplicateID))
	}
	if c := s.children[id]; c != nil {
		return refuse(c.pid(), fmt.Errorf("start child %q: %w", id, ErrDuplicateID))
	}
	return true
}

func (s *supervisor) startChild(ctx actor.Context, spec ChildSpec, first any, answer func(*Started)) {
	err := spec.Validate()
	if err == nil {
		err = s.spec.admits(spec)
	}
	if err != nil {
		if answer != nil {
			answer(&Started{ID: spec.ID, Err: err})
		}
		return
	}
	if !s.admit(spec.ID, answer, func(ctx actor.Context) { s.startChild(ctx, spec, first, answer) }) {
		return
	}
	if answer == nil {
		answer = func(*Started) {} // marks the first start
	}
	c := &child{spec: spec, first: first, answer: answer}
	s.add(c)
	s.launch(ctx, c)
}

func (s *supervisor) startTemporary(ctx actor.Context, m *StartTemporary, answer func(*Started)) {
	if s.phase != running || s.temps[m.ID] != nil || s.children[m.ID] != nil || m.ID == "" {
		if !s.admit(m.ID, answer, func(ctx actor.Context) { s.startTemporary(ctx, m, answer) }) {
			return
		}
	}
	if _, ok := m.Actor.(orderly); ok { // needs a record of its own to be stopped in its own time
		start := func() actor.Actor { return m.Actor }
		s.startChild(ctx, ChildSpec{ID: m.ID, Start: start, Restart: Temporary}, m.First, answer)
		return
	}
	g := &guard{inner: m.Actor}
	if answer != nil {
		g.up = s.port
	}
	if reason := s.spawn(ctx, m.ID, g, s.swarm); reason != nil {
		failed := StartFailed{ID: m.ID, Cause: reason}
		if answer != nil {
			answer(&Started{ID: m.ID, Err: failed})
		}
		s.tellExited(ctx, Exited{ID: m.ID, Reason: failed})
		return
	}
	if answer != nil {
		s.acks[m.ID] = answer
	}
	// The key is cut out of the PID's name, so that it costs no bytes.
	s.temps[s.idOf(g.pid.Id)] = g
	if m.First != nil {
		ctx.Send(g.pid, m.First)
	}
}

func (s *supervisor) stopChild(ctx actor.Context, id string, answer func(*ChildStopped)) {
	if c := s.children[id]; c != nil {
		c.part = none // it does not come back with its siblings
	}
	if order := s.stops[id]; order != nil { // it is being stopped already
		order.add(answer)
		return
	}
	if g := s.temps[id]; g != nil {
		s.deadlineFor(id, s.spec.Shutdown).add(answer)
		ctx.Stop(g.pid)
		return
	}
	c := s.children[id]
	switch {
	case c == nil:
		if answer != nil {
			answer(&ChildStopped{ID: id, Err: fmt.Errorf("stop child %q: %w", id, ErrNoChild)})
		}
	case c.guard == nil: // waiting for its restart
		s.deadlineFor(id, 0).add(answer)
		s.drop(ctx, c, nil, Shutdown{})
	default:
		s.orderStop(ctx, c)
		s.stops[id].add(answer)
	}
}

func (o *stopping) add(answer func(*ChildStopped)) {
	if answer != nil {
		o.answers = append(o.answers, answer)
	}
}

func (s *supervisor) watch(ctx actor.Context, m *Watch) {
	if m.Watcher == nil {
		return
	}
	if s.temps[m.ID] == nil && s.children[m.ID] == nil {
		ctx.Send(m.Watcher, &Exited{ID: m.ID, Reason: Error{ErrNoChild}})
		return
	}
	s.unwatch((*Unwatch)(m)) // watching twice is watching once
	s.watchers[m.ID] = append(s.watchers[m.ID], m.Watcher)
}

func (s *supervisor) unwatch(m *Unwatch) {
	kept := s.watchers[m.ID][:0]
	for _, w := range s.watchers[m.ID] {
		if !w.Equal(m.Watcher) {
			kept = append(kept, w)
		}
	}
	if len(kept) == 0 {
		delete(s.watchers, m.ID)
	} else {
		s.watchers[m.ID] = kept
	}
}
