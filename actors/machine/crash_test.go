package machine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

func TestACrashFailsExactlyThatHit(t *testing.T) {
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 2)
	h, other := s.opened(c, w, 1, 0), s.opened(c, w, 2, 0)
	h.call(1, 0)
	h.call(2, 0)
	w.inbox = nil
	s.crash(s.find(h.handle))
	s.run()
	m := c.expect(wire.Closed)
	require.Equal(t, wire.Header{Type: wire.Closed, Status: wire.Internal, Hit: h.handle, Epoch: 1, Arg: 2}, m.Header)
	require.Contains(t, string(m.Frame(0)), "the broker's actor of this hit crashed: a test's fault: open the hit again")
	require.Equal(t, "CRASHED", why(t, m).Verdict)
	require.Equal(t, 1, s.counts[wire.Internal])
	w.expect(wire.Cancel)
	w.expect(wire.End)
	require.Equal(t, 2, s.used(), "the session is still at the worker")
	require.EqualValues(t, 1, s.broker.Status(s.now).Totals.Crashed)

	other.call(1, 0)
	w.expect(wire.Call)
	other.reply(1, 0)
	c.expect(wire.Reply)
	s.kill(h.handle) // a dead one
	c.silent()
}

func TestWhatFreesTheSlotAfterACrash(t *testing.T) {
	for name, frees := range map[string]struct {
		flags wire.Flags
		how   func(h *session)
	}{
		"ENDED":      {0, func(h *session) { h.worker(wire.Header{Type: wire.Ended, Status: wire.UnknownHit}) }},
		"REPLY last": {oneShot, func(h *session) { h.reply(1, wire.Last) }},
		"ERROR last": {oneShot, func(h *session) {
			h.worker(wire.Header{Type: wire.Error, Flags: wire.Last, Status: wire.ServiceError, Seq: 1}, "no")
		}},
		"ERROR in place of OPENED": {0, func(h *session) { h.worker(wire.Header{Type: wire.Error, Status: wire.ServiceError}, "no") }},
		"worker lost":              {0, func(h *session) { h.w.vanish() }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTheatre(t, config())
			c, w := s.client(), s.worker("w", 1)
			h := s.begun(c, w, 1, frees.flags)
			s.crash(s.find(h.handle))
			s.run()
			c.expectError(wire.Internal, map[bool]wire.Outcome{true: wire.NeverStarted, false: wire.Unknown}[frees.flags == 0])
			h.worker(wire.Header{Type: wire.Opened})
			h.worker(wire.Header{Type: wire.Working, Seq: 1})
			if frees.flags == 0 {
				h.reply(1, 0)
			}
			require.Equal(t, 1, s.used())
			require.Equal(t, 1, s.broker.Inventory().Hits)
			frees.how(h)
			require.Zero(t, s.used())
			require.Zero(t, s.broker.Inventory().Hits)
			require.Empty(t, s.stage.handles.inUse)
			h.worker2(wire.Header{Type: wire.Ended})
			require.Zero(t, s.used(), "freed once")
		})
	}
}

// worker2 is worker, if the worker is still there.
func (h *session) worker2(head wire.Header) {
	if !h.w.gone {
		h.worker(head)
	}
}

// The crash is in the mailbox, and so is what would have ended the hit.
func TestWhatWasInTheMailboxOfACrashedHit(t *testing.T) {
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 1)
	h := s.opened(c, w, 1, 0)
	h.call(1, 0)
	c.whisper(wire.Header{Type: wire.Call, Hit: h.handle, Epoch: 1, Seq: 2}, "x")
	c.whisper(wire.Header{Type: wire.Close, Hit: h.handle, Epoch: 1})
	s.crash(s.find(h.handle))
	s.run()
	c.expectError(wire.UnknownHit, wire.NeverStarted) // call 2 never reached the hit
	m := c.expect(wire.Closed)
	require.Equal(t, wire.Internal, m.Header.Status, "CLOSE is answered by the hit's end, not by unknown-hit, which would deny call 1")
	require.Equal(t, uint32(1), m.Header.Arg)
	c.silent()

	s = newTheatre(t, config())
	c, w = s.client(), s.worker("w", 1)
	h = s.opened(c, w, 1, 0)
	w.whisper(wire.Header{Type: wire.Ended, Hit: h.handle, Epoch: h.epoch})
	s.crash(s.find(h.handle))
	s.run()
	require.Zero(t, s.used(), "the session has ended")
	w.expect(wire.Cancel)
	w.expect(wire.End)
	h.worker(wire.Header{Type: wire.Ended, Status: wire.UnknownHit})
	require.Zero(t, s.used())
}

func TestACrashAfterTheWorkerIsLost(t *testing.T) {
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 1)
	h := s.opened(c, w, 1, 0)
	n := s.find(h.handle)
	s.lose(w.link, "disconnected", "x")
	s.step(s.workerNode(h.of())) // its machine has heard of it
	s.crash(n)
	s.run()
	require.Equal(t, wire.Internal, c.expect(wire.Closed).Header.Status)
	require.Zero(t, s.broker.Inventory().Hits, "nobody would ever end it")
}

func TestACrashedWorkerActorIsALostWorker(t *testing.T) {
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 2)
	h := s.opened(c, w, 1, 0)
	s.crash(s.workerNode(h.of()))
	s.run()
	m := c.expect(wire.Closed)
	require.Equal(t, wire.WorkerGone, m.Header.Status)
	require.Equal(t, "CRASHED", why(t, m).Verdict)
	require.True(t, w.gone, "it is disconnected, so that it registers again")
	require.Zero(t, s.broker.Inventory().Workers)

	s.worker("w", 1) // under its name
}

// The rival of a worker whose actor crashes does not wait for ever.
func TestACrashWhileAskedForTheName(t *testing.T) {
	s := newTheatre(t, config())
	old, rival := s.worker("w", 1), s.peer()
	rival.ready(wire.ReadyInfo{Name: "w", Services: []string{"echo"}, Slots: 1})
	rival.silent()
	s.crash(s.workerNode(s.broker.AllWorkers()[0]))
	s.run()
	require.True(t, old.gone)
	rival.expect(wire.Welcome)
}
