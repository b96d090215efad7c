package machine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// shot is a one-shot whose BEGIN the worker has read.
func shot(t *testing.T) (*theatre, *session) {
	s := newTheatre(t, config())
	return s, s.begun(s.client(), s.worker("w", 1), 5, oneShot)
}

func TestAOneShotIsAnsweredOnce(t *testing.T) {
	quote(t, "There is no OPENED towards the client; the answer is REPLY or ERROR with the reference and `last`.")
	s, h := shot(t)
	h.worker(wire.Header{Type: wire.Working, Seq: 1, Arg: 1}, "note")
	require.Equal(t, wire.Header{Type: wire.Working, Flags: wire.Ref, Hit: 5, Epoch: 101, Seq: 1, Arg: 1}, h.c.expect(wire.Working).Header)
	h.reply(1, wire.Last)
	m := h.c.expect(wire.Reply)
	require.Equal(t, wire.Header{Type: wire.Reply, Flags: wire.Ref | wire.Last, Hit: 5, Epoch: 101, Seq: 1}, m.Header)
	h.c.silent()
	h.w.silent()
	require.Zero(t, s.used())
	require.EqualValues(t, 0, s.broker.Status(s.now).Totals.Failed)
}

func TestAOneShotFails(t *testing.T) {
	for name, fails := range map[string]struct {
		how     func(s *theatre, h *session)
		status  wire.Status
		outcome wire.Outcome
	}{
		"said": {func(_ *theatre, h *session) {
			h.worker(wire.Header{Type: wire.Error, Flags: wire.Last, Status: wire.ServiceError, Seq: 1}, "no")
		}, wire.ServiceError, wire.Finished},
		"refused": {func(_ *theatre, h *session) {
			h.worker(wire.Header{Type: wire.Error, Status: wire.TooLarge, Seq: 0, Arg: uint32(wire.NeverStarted)}, "BEGIN is too large: send less")
		}, wire.TooLarge, wire.NeverStarted},
		"ended": {func(_ *theatre, h *session) {
			h.worker(wire.Header{Type: wire.Ended, Status: wire.Panicked}, "cannot be opened")
		}, wire.Panicked, wire.NeverStarted},
		"ended in its call": {func(_ *theatre, h *session) {
			h.worker(wire.Header{Type: wire.Ended, Arg: 1})
		}, wire.ServiceError, wire.Unknown},
		"worker lost": {func(_ *theatre, h *session) { h.w.vanish() }, wire.WorkerGone, wire.Unknown},
		"killed":      {func(s *theatre, h *session) { s.kill(h.handle) }, wire.Killed, wire.Unknown},
		"crashed": {func(s *theatre, h *session) {
			s.crash(s.find(h.handle))
			s.run()
		}, wire.Internal, wire.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			s, h := shot(t)
			fails.how(s, h)
			m := h.c.expect(wire.Error)
			require.Equal(t, fails.status, m.Header.Status)
			require.Equal(t, fails.outcome, wire.Outcome(m.Header.Arg))
			require.Equal(t, wire.Ref|wire.Last, m.Header.Flags)
			require.Equal(t, uint64(5), m.Header.Hit)
			require.NotEmpty(t, m.Frame(0))
			h.c.silent()
			if fails.status != wire.ServiceError || fails.outcome != wire.Finished {
				require.Equal(t, 1, s.counts[fails.status])
			}
		})
	}
}

func TestAOneShotThatCannotBePassedOn(t *testing.T) {
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 1)
	w.slow = true
	c.openFor(5, oneShot, 0, "echo", "", "first")
	m := c.expectError(wire.PeerSlow, wire.NeverStarted, "worker w cannot be told of the hit", "open it again")
	require.Equal(t, wire.Ref|wire.Last, m.Header.Flags)
	require.Zero(t, s.used())
}

func TestAOneShotIsCancelledByItsReference(t *testing.T) {
	for _, typ := range []wire.Type{wire.Cancel, wire.Close} {
		s, h := shot(t)
		h.byRef(wire.Header{Type: typ})
		require.Equal(t, wire.Header{Type: wire.Cancel, Hit: h.handle, Epoch: h.epoch}, h.w.expect(wire.Cancel).Header)
		h.w.silent()
		h.c.silent()
		require.Equal(t, 1, s.used(), "until the worker has answered")
		h.worker(wire.Header{Type: wire.Error, Flags: wire.Last, Status: wire.Cancelled, Seq: 1, Arg: uint32(wire.NeverStarted)}, "cancelled")
		require.Equal(t, wire.Cancelled, h.c.expect(wire.Error).Header.Status)
		require.Zero(t, s.used())
		h.byRef(wire.Header{Type: typ})
		h.c.silent() // the answer was the answer to this, too
	}
}

func TestOpenedOfAOneShotOnlyTellsTheThread(t *testing.T) {
	s, h := shot(t)
	h.worker(wire.Header{Type: wire.Opened, Arg: 4712})
	h.c.silent()
	h.w.silent()
	require.Equal(t, uint32(4712), s.broker.AllHits()[0].Thread)
	h.reply(1, wire.Last)
	h.c.expect(wire.Reply)
}

// A one-shot whose client is gone, or was told the end, ends silently with its answer.
func TestAOneShotWithoutAClient(t *testing.T) {
	s, h := shot(t)
	h.c.vanish()
	h.w.expect(wire.Cancel)
	h.reply(1, wire.Last)
	h.w.silent()
	require.Zero(t, s.used())

	s, h = shot(t)
	s.kill(h.handle)
	h.w.expect(wire.Cancel)
	h.c.expectError(wire.Killed, wire.Unknown)
	h.byRef(wire.Header{Type: wire.Close})
	h.reply(1, wire.Last)
	h.c.silent()
	h.w.silent()
	require.Zero(t, s.used())
}

func TestTheLastCallEndsTheHit(t *testing.T) {
	quote(t, "CALL with `last`: its answer carries `last`, ENDED and CLOSED are left out.")
	quote(t, "After a call with `last` there are no more (`closed`).")
	quote(t, "CLOSE after a call with `last` has no effect: that call's answer ends the hit.")
	for _, answer := range []wire.Header{
		{Type: wire.Reply, Flags: wire.Last, Seq: 2},
		{Type: wire.Error, Flags: wire.Last, Status: wire.ServiceError, Seq: 2},
	} {
		s := newTheatre(t, config())
		h := s.opened(s.client(), s.worker("w", 1), 5, 0)
		h.call(1, 0)
		h.call(2, wire.Last)
		require.Zero(t, h.w.expect(wire.Call).Header.Flags)
		require.Equal(t, wire.Last, h.w.expect(wire.Call).Header.Flags)
		h.call(3, 0)
		h.c.expectError(wire.IsClosed, wire.NeverStarted, "closes after call 2", "open another one")
		h.client(wire.Header{Type: wire.Close})
		h.w.silent()
		h.reply(1, 0)
		require.Zero(t, h.c.expect(wire.Reply).Header.Flags)
		h.worker(answer, "x")
		require.Equal(t, wire.Last, h.c.expect(answer.Type).Header.Flags)
		h.c.silent()
		h.w.silent()
		require.Equal(t, "over", h.state())
		require.Zero(t, s.used())
	}
}

func TestAWorkerThatDoesNotSayLast(t *testing.T) {
	quote(t, "If the worker leaves `last` out, the broker tells the client so nevertheless, and the worker END.")
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 1), 5, 0)
	h.call(1, wire.Last)
	h.w.expect(wire.Call)
	h.reply(1, 0)
	require.Equal(t, wire.Last, h.c.expect(wire.Reply).Header.Flags)
	require.Equal(t, wire.Header{Type: wire.End, Hit: h.handle, Epoch: h.epoch}, h.w.expect(wire.End).Header)
	require.Equal(t, 1, s.used(), "the session may still be there")
	h.call(2, 0)
	h.c.expectError(wire.UnknownHit, wire.NeverStarted)
	h.worker(wire.Header{Type: wire.Ended})
	h.c.silent()
	require.Zero(t, s.used())

	s, h = shot(t)
	h.reply(1, 0)
	require.Equal(t, wire.Ref|wire.Last, h.c.expect(wire.Reply).Header.Flags)
	h.w.expect(wire.End)
	h.worker(wire.Header{Type: wire.Error, Status: wire.UnknownHit}, "no such session")
	require.Zero(t, s.used(), "a worker that has forgotten the hit has ended it")
}

func TestAWorkerThatSaysLastUnasked(t *testing.T) {
	quote(t, "If it says `last` unasked, the client gets the answer, then CLOSED.")
	for _, answer := range []wire.Header{
		{Type: wire.Reply, Flags: wire.Last, Seq: 1},
		{Type: wire.Error, Flags: wire.Last, Status: wire.Panicked, Seq: 1, Arg: uint32(wire.Unknown)},
	} {
		s := newTheatre(t, config())
		h := s.opened(s.client(), s.worker("w", 1), 5, 0)
		h.call(1, 0)
		h.call(2, 0)
		h.worker(answer, "x")
		require.Zero(t, h.c.expect(answer.Type).Header.Flags)
		m := h.c.expect(wire.Closed)
		require.Equal(t, answer.Status, m.Header.Status)
		require.Equal(t, uint32(1), m.Header.Arg, "call 2 never started")
		h.c.silent()
		require.Zero(t, s.used())
		h.worker(wire.Header{Type: wire.Ended})
		require.Equal(t, 1, s.counts[wire.UnknownHit], "one end is enough")
		require.Zero(t, s.used())
	}
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 1), 5, 0)
	h.call(1, 0)
	h.worker(wire.Header{Type: wire.Error, Flags: wire.Last, Status: wire.LeaseOver}, "the session is lost: open another")
	m := h.c.expect(wire.Closed)
	require.Equal(t, wire.LeaseOver, m.Header.Status)
	require.Equal(t, uint32(1), m.Header.Arg)
	require.Zero(t, s.used())
}
