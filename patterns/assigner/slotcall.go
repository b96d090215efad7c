package assigner

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/supervision"
)

// call runs one call, unless it was cancelled or its deadline is past, and answers it.
func (s *slot) call(ctx actor.Context, m *wire.Message) {
	seq, last := m.Header.Seq, m.Header.Flags.Has(wire.Last)
	run := &callContext{parent: s.ctx}
	if ms := m.Header.Arg; ms > 0 {
		run.deadline = s.worker.hub.zero.Add(m.At + time.Duration(ms)*time.Millisecond)
	}
	var reason supervision.Reason = supervision.Normal{}
	switch {
	case !s.admit(m, run):
		status, text := wire.Cancelled, "cancelled before its turn came"
		if bad := s.spoiltBody(seq); bad != nil {
			status, text = bad.Status, bad.Text
		}
		s.leave(run)
		s.answerError(seq, status, wire.NeverStarted, text, last)
	case run.Err() != nil:
		s.leave(run)
		s.answerError(seq, wire.Expired, wire.NeverStarted, "its deadline passed while it waited for the calls before it: allow more time, or ask for less at once", last)
	case !s.worker.turns.take(run, func() { s.progress(seq, 0, "waits for its turn at the worker") }):
		stopped := run.Err()
		s.leave(run)
		if errors.Is(stopped, context.DeadlineExceeded) {
			s.answerError(seq, wire.Expired, wire.NeverStarted, "its deadline passed while it waited for its turn at the worker: allow more time, or give the worker more slots", last)
		} else {
			s.answerError(seq, wire.Cancelled, wire.NeverStarted, "cancelled before its turn came", last)
		}
	default:
		if crashed := s.serve(m, seq, last, run); crashed != nil {
			reason = supervision.Error{Err: crashed}
		}
	}
	if s.over {
		s.exit(ctx, reason)
	}
}

// serve runs the service's code and answers. It returns the crash that ended the session, if there was one.
func (s *slot) serve(m *wire.Message, seq uint32, last bool, run *callContext) error {
	s.begun = seq
	c := &Call{Hit: s.handle, Service: s.name, Seq: seq, Frames: m.Body, slot: s, run: run}
	if m.Header.Flags.Has(wire.More) {
		s.arrives(m, c)
	}
	reply, err := s.run(run, c)
	var crashed *crash
	bad := s.spoiltBody(seq)
	switch {
	case bad != nil && !errors.As(err, &crashed):
		s.leave(run)
		s.answerError(seq, bad.Status, wire.Unknown, bad.Text, last)
	case err == nil && c.out != nil:
		s.replyRest(c, last)
	case err == nil:
		s.leave(run)
		s.reply(seq, last, reply, c.more)
	case errors.As(err, &crashed), errors.Is(err, ErrPanicked):
		s.leave(run)
		s.answerError(seq, wire.Panicked, wire.Unknown, "the service crashed: "+err.Error()+": its session is lost, open another hit", last)
		if !s.over {
			s.ended(wire.Panicked, "the service crashed in call "+strconv.Itoa(int(seq))+": "+err.Error())
		}
		return err
	default:
		s.answerFailure(seq, err, run, last)
	}
	return nil
}

// run runs the service's code.
func (s *slot) run(ctx context.Context, c *Call) (reply []byte, err error) {
	s.calling.Store(true)
	s.worker.threads.running.Add(1)
	defer func() {
		if s.calling.Swap(false) { // else it was written off
			s.worker.ran()
		}
	}()
	err = s.protect(func() (err error) {
		reply, err = s.session.Call(ctx, c)
		return err
	})
	return reply, err
}

// answerFailure answers a call whose handler returned an error.
func (s *slot) answerFailure(seq uint32, err error, run *callContext, last bool) {
	stopped := run.Err()
	s.leave(run)
	if stopped != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		status := wire.Cancelled
		if errors.Is(stopped, context.DeadlineExceeded) {
			status = wire.Expired
		}
		s.answerError(seq, status, wire.Unknown, "stopped while it ran: "+err.Error(), last)
		return
	}
	var unread *BodyError
	if errors.As(err, &unread) {
		s.answerError(seq, wire.BadBody, wire.NeverStarted, unread.Text, last)
		return
	}
	s.answerServiceError(seq, err, last)
}

// opening makes the opening of the session what a cancellation stops. The context has no deadline: a session may keep it.
func (s *slot) opening(m *wire.Message) *callContext {
	run := &callContext{parent: s.ctx}
	s.mu.Lock()
	s.current = run
	late := m.At <= s.until
	if late {
		s.stopped = max(s.worker.hub.loop.Now(), 1)
	}
	s.mu.Unlock()
	if late {
		run.cancel(context.Canceled)
	}
	return run
}

// opened ends what opening began; the context lives on.
func (s *slot) opened() {
	s.mu.Lock()
	s.current, s.stopped = nil, 0
	s.mu.Unlock()
}

// admit makes the call the running one; false: it was cancelled before.
func (s *slot) admit(m *wire.Message, run *callContext) bool {
	seq := m.Header.Seq
	s.mu.Lock()
	defer s.mu.Unlock()
	s.admitted = seq
	if m.At <= s.until || s.cancelled[seq] {
		delete(s.cancelled, seq)
		return false
	}
	s.running, s.current, s.final, s.promised = seq, run, m.Header.Flags.Has(wire.Last), 0
	if lease := s.service.Lease; lease > 0 {
		s.promised = s.worker.hub.loop.Now() + lease
	}
	return true
}

func (s *slot) leave(run *callContext) {
	s.mu.Lock()
	if s.streams != nil {
		s.leaveStreams(s.admitted)
	}
	s.running, s.current, s.stopped = 0, nil, 0
	s.mu.Unlock()
	run.cancel(context.Canceled)
}

// promise notes that the running call may give no sign for so long.
func (s *slot) promise(d time.Duration) {
	if d <= 0 {
		return
	}
	s.mu.Lock()
	s.promised = max(s.promised, s.worker.hub.loop.Now()+d)
	s.mu.Unlock()
}

// cancel stops the call with this seq, 0: all that have arrived up to at. It runs on the loop, while the slot's thread may be in a call.
func (s *slot) cancel(seq uint32, at time.Duration) {
	if s.interrupt(seq, at) {
		s.worker.exits.look(s)
	}
}

// interrupt is cancel without looking after the session's end, which it reports whether somebody should. It may be called from any goroutine.
func (s *slot) interrupt(seq uint32, at time.Duration) (look bool) {
	s.mu.Lock()
	run := s.current
	switch {
	case seq == 0:
		s.until = max(s.until, at)
	case seq > s.admitted:
		run = nil
		if s.cancelled == nil {
			s.cancelled = make(map[uint32]bool)
		}
		s.cancelled[seq] = true
	case seq != s.running:
		run = nil
	}
	if run != nil && s.stopped == 0 {
		s.stopped = max(s.worker.hub.loop.Now(), 1)
	}
	look = run != nil && (s.ends || s.oneshot || s.final)
	s.mu.Unlock()
	if run != nil {
		run.cancel(context.Canceled)
	}
	return look
}

// orphanage tells a slot that its connection is gone.
type orphanage struct{ slot *slot }
