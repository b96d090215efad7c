package machine_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// running is a hit with one call answered, one running and one waiting.
func running(t *testing.T) (*theatre, *session) {
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 1), 5, 0)
	for seq := range uint32(3) {
		h.call(seq+1, 0)
		h.w.expect(wire.Call)
	}
	h.reply(1, 0)
	h.c.expect(wire.Reply)
	return s, h
}

// why reads the why-record of a message.
func why(t *testing.T, m *wire.Message) machine.Why {
	t.Helper()
	var w machine.Why
	require.NoError(t, json.Unmarshal(m.Frame(1), &w))
	return w
}

func TestCloseRunsWhatWaits(t *testing.T) {
	quote(t, "the worker runs what waits, closes the session on its thread and answers ENDED; the client gets CLOSED with status 0")
	quote(t, "CLOSE and END are idempotent")
	s, h := running(t)
	h.client(wire.Header{Type: wire.Close})
	require.Equal(t, wire.Header{Type: wire.End, Hit: h.handle, Epoch: h.epoch}, h.w.expect(wire.End).Header)
	h.client(wire.Header{Type: wire.Close})
	h.w.silent()
	h.call(4, 0)
	h.c.expectError(wire.IsClosed, wire.NeverStarted, "is closing", "open another one")
	h.reply(2, 0)
	h.reply(3, 0)
	h.c.expect(wire.Reply)
	h.c.expect(wire.Reply)
	h.worker(wire.Header{Type: wire.Ended, Arg: 3})
	m := h.c.expect(wire.Closed)
	require.Equal(t, wire.Header{Type: wire.Closed, Hit: h.handle, Epoch: 1, Arg: 3}, m.Header)
	require.Equal(t, "closed", string(m.Frame(0)))
	require.Zero(t, s.counts[wire.OK])
	quote(t, "CLOSE of an unknown hit is answered by CLOSED with status `unknown-hit`")
	h.client(wire.Header{Type: wire.Close})
	m = h.c.expect(wire.Closed)
	require.Equal(t, wire.Header{Type: wire.Closed, Status: wire.UnknownHit, Hit: h.handle, Epoch: 1}, m.Header)
	require.Equal(t, 1, s.counts[wire.UnknownHit])
}

// The worker's ENDED crosses the broker's END, which it answers as well: by ENDED or by ERROR.
func TestEndCrossesEnded(t *testing.T) {
	quote(t, "END of an unknown hit by ENDED with status `unknown-hit`")
	s, h := running(t)
	h.w.whisper(wire.Header{Type: wire.Ended, Status: wire.Panicked, Hit: h.handle, Epoch: h.epoch, Arg: 2}, "crash")
	h.client(wire.Header{Type: wire.Close})
	require.Equal(t, uint32(2), h.c.expect(wire.Closed).Header.Arg)
	if len(h.w.inbox) > 0 {
		h.w.expect(wire.End)
	}
	h.worker(wire.Header{Type: wire.Ended, Status: wire.UnknownHit})
	h.w.silent()
	require.Zero(t, s.used())

	s, h = running(t)
	h.client(wire.Header{Type: wire.Close})
	h.w.expect(wire.End)
	h.worker(wire.Header{Type: wire.Error, Status: wire.UnknownHit}, "no such session")
	m := h.c.expect(wire.Closed)
	require.Equal(t, wire.UnknownHit, m.Header.Status)
	require.Equal(t, uint32(3), m.Header.Arg, "nobody knows what has begun")
	require.Zero(t, s.used())
}

func TestAWorkerCannotPoseAsTheBroker(t *testing.T) {
	quote(t, "an ERROR of a worker with any other status on as `service-error`, outcome unknown, and the end of a session as `service-error`: a worker cannot pose as the broker.")
	for said, want := range map[wire.Header]wire.Header{
		{Status: wire.QueueFull, Arg: uint32(wire.NeverStarted)}: {Status: wire.ServiceError, Arg: uint32(wire.Unknown)},
		{Status: wire.BadSeq, Arg: uint32(wire.NeverStarted)}:    {Status: wire.ServiceError, Arg: uint32(wire.Unknown)},
		{Status: wire.BrokerGone}:                                {Status: wire.ServiceError, Arg: uint32(wire.Unknown)},
		{Status: wire.Killed, Arg: uint32(wire.NeverStarted)}:    {Status: wire.ServiceError, Arg: uint32(wire.Unknown)},
		{Status: wire.Internal, Arg: uint32(wire.Unknown)}:       {Status: wire.ServiceError, Arg: uint32(wire.Unknown)},
		{Status: wire.OK}:                                        {Status: wire.ServiceError, Arg: uint32(wire.Unknown)},
		{Status: wire.ServiceError, Arg: 77}:                     {Status: wire.ServiceError, Arg: uint32(wire.Unknown)},
		{Status: wire.WorkerGone}:                                {Status: wire.ServiceError, Arg: uint32(wire.Unknown)},
		{Status: wire.TooLarge, Arg: uint32(wire.NeverStarted)}:  {Status: wire.ServiceError, Arg: uint32(wire.Unknown)},
		{Status: 999, Arg: uint32(wire.NeverStarted)}:            {Status: wire.ServiceError, Arg: uint32(wire.Unknown)},
		{Status: wire.TooLarge, Arg: uint32(wire.ReplyLost)}:     {Status: wire.TooLarge, Arg: uint32(wire.ReplyLost)},
		{Status: wire.BadBody, Arg: uint32(wire.NeverStarted)}:   {Status: wire.BadBody, Arg: uint32(wire.NeverStarted)},
		{Status: wire.ServiceError, Arg: uint32(wire.Finished)}:  {Status: wire.ServiceError, Arg: uint32(wire.Finished)},
		{Status: wire.Cancelled, Arg: uint32(wire.NeverStarted)}: {Status: wire.Cancelled, Arg: uint32(wire.NeverStarted)},
	} {
		_, h := running(t)
		said.Type, said.Seq = wire.Error, 2
		h.worker(said, "so it says")
		m := h.c.expect(wire.Error)
		require.Equal(t, want, wire.Header{Status: m.Header.Status, Arg: m.Header.Arg}, "%v", said)
		require.Equal(t, "so it says", string(m.Frame(0)))
	}
}

// Nor can it by the end of a session.
func TestASessionCannotEndInTheBrokersWords(t *testing.T) {
	for said, want := range map[wire.Status]wire.Status{
		wire.Killed: wire.ServiceError, wire.Internal: wire.ServiceError, wire.BrokerGone: wire.ServiceError, wire.Fenced: wire.ServiceError, 999: wire.ServiceError,
		wire.Panicked: wire.Panicked, wire.OK: wire.OK,
	} {
		_, h := running(t)
		h.worker(wire.Header{Type: wire.Ended, Status: said, Arg: 1})
		require.Equal(t, want, h.c.expect(wire.Closed).Header.Status, "%v", said)
	}
}

func TestASessionThatEndsByItself(t *testing.T) {
	quote(t, "then sends ENDED with that status and in `arg` the highest seq that began. The client gets CLOSED.")
	s, h := running(t)
	h.worker(wire.Header{Type: wire.Error, Status: wire.Panicked, Seq: 2, Arg: uint32(wire.Unknown)}, "crash")
	h.worker(wire.Header{Type: wire.Ended, Status: wire.Panicked, Arg: 2})
	h.c.expect(wire.Error)
	m := h.c.expect(wire.Closed)
	require.Equal(t, wire.Panicked, m.Header.Status)
	quote(t, "a seq up to `arg` has the outcome unknown, a seq above it never started")
	require.Equal(t, uint32(2), m.Header.Arg)
	require.Contains(t, string(m.Frame(0)), "ended by itself (panicked): open another one; the log of worker w")
	require.Equal(t, 1, s.counts[wire.Panicked])

	s, h = running(t)
	h.worker(wire.Header{Type: wire.Ended, Arg: 99})
	require.Equal(t, uint32(3), h.c.expect(wire.Closed).Header.Arg, "no more can have begun than were asked")
	require.Zero(t, s.used())
}

func TestALostWorkerIsTold(t *testing.T) {
	quote(t, "a worker's hits are CLOSED with `worker-gone` at their clients")
	s, h := running(t)
	s.tick(1500 * time.Millisecond)
	h.w.vanish()
	m := h.c.expect(wire.Closed)
	require.Equal(t, wire.WorkerGone, m.Header.Status)
	require.Equal(t, uint32(3), m.Header.Arg)
	for _, words := range []string{"worker w is lost", "disconnected", "descriptor 9", "open the hit again"} {
		require.Contains(t, string(m.Frame(0)), words)
	}
	record := why(t, m)
	require.Equal(t, machine.Why{
		Verdict: "GONE", Detector: "disconnected", Measured: "its connection (descriptor 9) was closed", Worker: "w", AgeMS: 1500,
		Done: record.Done, Knob: record.Knob, Hit: record.Hit, AtMS: 61_500, Heard: record.Heard,
	}, record)
	require.NotEmpty(t, record.Done)
	require.Contains(t, record.Knob, "silence")
	require.Equal(t, 1, s.counts[wire.WorkerGone])
	require.EqualValues(t, 1, s.broker.Status(s.now).Totals.Lost)
	require.Zero(t, s.broker.Inventory().Hits)
}

func TestALostWorkerWhileOpening(t *testing.T) {
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 2)
	s.begun(c, w, 1, 0)
	s.begun(c, w, 2, wire.First)
	w.vanish()
	m := c.expectError(wire.WorkerGone, wire.NeverStarted, "worker w is lost")
	require.Equal(t, uint64(1), m.Header.Hit)
	m = c.expectError(wire.WorkerGone, wire.Unknown)
	require.Equal(t, wire.Header{Type: wire.Error, Flags: wire.Ref, Status: wire.WorkerGone, Hit: 2, Epoch: 101, Seq: 1, Arg: uint32(wire.Unknown)}, m.Header)
}

func TestALostClientFreesItsSlots(t *testing.T) {
	quote(t, "a client's hits are ended at their workers")
	s, h := running(t)
	h.c.vanish()
	h.w.expect(wire.Cancel)
	h.w.expect(wire.End)
	require.Equal(t, 1, s.used(), "until the session has ended on its thread")
	h.worker(wire.Header{Type: wire.Error, Status: wire.Cancelled, Seq: 2, Arg: uint32(wire.Unknown)}, "cancelled")
	h.reply(3, 0)
	h.worker(wire.Header{Type: wire.Working, Seq: 3})
	h.worker(wire.Header{Type: wire.Ended, Arg: 3})
	h.w.silent()
	require.Zero(t, s.used())
	require.Equal(t, machine.Inventory{Workers: 1, Names: 1}, s.broker.Inventory())
}

func TestALostClientWithTheLastCallUnderWay(t *testing.T) {
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 1), 5, 0)
	h.call(1, wire.Last)
	h.w.expect(wire.Call)
	h.c.vanish()
	h.w.expect(wire.Cancel)
	h.w.expect(wire.End) // it may wait behind a call that does not come back
	h.reply(1, wire.Last)
	require.Zero(t, s.used(), "the answer ends the hit")
	h.worker(wire.Header{Type: wire.Ended, Status: wire.UnknownHit})
	h.w.silent()
}

func TestCloseWhileOpening(t *testing.T) {
	quote(t, "Aborting is a hit that was closed while it was opening: it ends with ERROR in place of CLOSED, and the answer to its first call is left out, since the ERROR's outcome tells of it.")
	s := newTheatre(t, config())
	h := s.begun(s.client(), s.worker("w", 1), 5, wire.First)
	h.byRef(wire.Header{Type: wire.Close})
	h.w.expect(wire.Cancel)
	h.w.expect(wire.End)
	h.worker(wire.Header{Type: wire.Opened, Arg: 1})
	h.worker(wire.Header{Type: wire.Working, Seq: 1})
	h.reply(1, 0)
	h.byRef(wire.Header{Type: wire.Close})
	h.c.silent()
	h.worker(wire.Header{Type: wire.Ended, Arg: 1})
	h.c.expectError(wire.Cancelled, wire.Unknown)
	require.Zero(t, s.used())

	h = s.begun(h.c, h.w, 6, wire.First)
	h.byRef(wire.Header{Type: wire.Close})
	h.worker(wire.Header{Type: wire.Ended})
	h.c.expectError(wire.Cancelled, wire.NeverStarted, "could not be opened (cancelled)")
}

func TestByReferenceAfterOpened(t *testing.T) {
	quote(t, "Where they cross it, they have no effect; after OPENED the client speaks by handle.")
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 2)
	h := s.begun(c, w, 5, 0)
	// CLOSE passes the broker while the hit is opening, and reaches the hit behind OPENED.
	c.whisper(wire.Header{Type: wire.Close, Flags: wire.Ref, Hit: 5})
	w.whisper(wire.Header{Type: wire.Opened, Hit: h.handle, Epoch: h.epoch})
	s.run()
	c.expect(wire.Opened)
	h.byRef(wire.Header{Type: wire.Close})
	h.byRef(wire.Header{Type: wire.Cancel})
	c.silent()
	w.silent()
	require.Equal(t, "open", h.state())

	again := s.begun(c, w, 5, 0) // the reference is free again, and names the OPEN that is under way
	again.byRef(wire.Header{Type: wire.Close})
	require.Equal(t, again.handle, w.expect(wire.Cancel).Header.Hit)
}

func TestOpenThenByeAtOnce(t *testing.T) {
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 1)
	c.whisper(wire.Header{Type: wire.Open, Flags: wire.Ref, Hit: 1}, "echo", "")
	c.whisper(wire.Header{Type: wire.Bye})
	s.run()
	m := w.expect(wire.Begin)
	w.expect(wire.Cancel)
	w.expect(wire.End)
	w.say(wire.Header{Type: wire.Ended, Hit: m.Header.Hit, Epoch: m.Header.Epoch})
	c.silent()
	require.Zero(t, s.used())
}

func TestCloseThenReplyAtOnce(t *testing.T) {
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 1), 5, 0)
	h.call(1, 0)
	h.c.whisper(wire.Header{Type: wire.Close, Hit: h.handle, Epoch: 1})
	h.w.whisper(wire.Header{Type: wire.Reply, Hit: h.handle, Epoch: h.epoch, Seq: 1}, "x")
	h.w.whisper(wire.Header{Type: wire.Ended, Hit: h.handle, Epoch: h.epoch, Arg: 1})
	h.c.whisper(wire.Header{Type: wire.Call, Hit: h.handle, Epoch: 1, Seq: 2}, "too late")
	s.run()
	h.c.expect(wire.Reply)
	h.c.expect(wire.Closed)
	h.c.expectError(wire.UnknownHit, wire.NeverStarted, "over or never was", "open another one")
}

// The machine of a hit that is over may still be told things that were on their way to its actor.
func TestAfterTheEnd(t *testing.T) {
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 1), 5, 0)
	x := s.broker.AllHits()[0]
	h.worker(wire.Header{Type: wire.Ended})
	h.c.expect(wire.Closed)
	require.Equal(t, machine.Ended, x.State)
	require.Empty(t, x.Lose(s.now, &machine.Lost{}, nil))
	require.Empty(t, x.Lose(s.now, &machine.Lost{Worker: true}, nil))
	require.Empty(t, x.Kill(s.now, &machine.Kill{}, nil))
	require.Empty(t, s.broker.Ended(s.now, x, wire.OK, nil), "it has been forgotten")
	require.Empty(t, s.broker.Crashed(s.now, x.Handle, "late", nil))
	for typ, answer := range map[wire.Type]wire.Type{
		wire.Call: wire.Error, wire.Close: wire.Closed, wire.Cancel: 0,
		wire.Opened: wire.Error, wire.Reply: wire.Error, wire.Working: wire.Error, wire.Error: 0, wire.Ended: 0,
	} {
		m := wire.NewMessage(wire.Header{Type: typ, Hit: h.handle, Epoch: 1, Seq: 1}, []byte("x"))
		m.From = h.c.ref
		if typ == wire.Error || typ >= wire.Opened && typ <= wire.Working || typ == wire.Ended {
			m.From, m.Header.Epoch = h.w.ref, h.epoch
		}
		var said wire.Type
		for _, e := range x.Message(s.now, m, nil) {
			if e.Kind == machine.Send {
				said = e.Header.Type
				require.Equal(t, wire.UnknownHit, e.Header.Status)
			}
		}
		require.Equal(t, answer, said, "%v", typ)
	}
	require.Zero(t, s.used())
}
