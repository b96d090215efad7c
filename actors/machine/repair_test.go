package machine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// restarting is a broker that moves hits up to three times.
func restarting(t *testing.T) *theatre {
	t.Helper()
	cfg := config()
	cfg.Repair, cfg.MaxMoves, cfg.MoveHit, cfg.MoveAll = func(string) string { return "restart" }, 3, 1000, 10_000
	return newTheatre(t, cfg)
}

// taken is a hit that another worker has taken up.
func (h *session) taken(w *peer) (*session, *wire.Message) {
	h.c.t.Helper()
	m := w.expect(wire.Begin)
	require.Equal(h.c.t, h.handle, m.Header.Hit)
	require.NotEqual(h.c.t, h.epoch, m.Header.Epoch, "another epoch")
	return &session{h.c, w, h.handle, m.Header.Epoch, h.ref}, m
}

func TestAnOpenHitMovesWithItsCalls(t *testing.T) {
	quote(t, "Else the client is told nothing, and the calls that were not answered follow BEGIN at once, in order and under the seqs they had")
	s := restarting(t)
	h := s.opened(s.client(), s.worker("one", 1), 1, 0)
	for seq := uint32(1); seq <= 3; seq++ {
		h.call(seq, wire.Idempotent)
		require.Zero(t, h.w.expect(wire.Call).Header.Flags, "the flag is the broker's")
	}
	h.reply(1, 0)
	h.c.expect(wire.Reply)
	h.w.vanish()
	require.Equal(t, "moving", h.state())
	h.call(4, wire.Idempotent) // kept
	s.run()
	h, _ = h.taken(s.worker("two", 1))
	for seq := uint32(2); seq <= 4; seq++ {
		require.Equal(t, seq, h.w.expect(wire.Call).Header.Seq)
	}
	h.worker(wire.Header{Type: wire.Opened, Arg: 4713})
	h.c.silent()
	for seq := uint32(2); seq <= 4; seq++ {
		h.reply(seq, 0)
		require.Equal(t, seq, h.c.expect(wire.Reply).Header.Seq)
	}
	require.EqualValues(t, 1, s.broker.Status(s.now).Totals.Moved)
	require.Equal(t, "moved to two (move 1 of 3)", s.whys(fmt.Sprintf("%x", h.handle))[0].Done)
	h.client(wire.Header{Type: wire.Close})
	h.w.expect(wire.End)
	h.worker(wire.Header{Type: wire.Ended})
	h.c.expect(wire.Closed)
	require.Zero(t, s.broker.Inventory().Kept, "all that was kept is given back")
}

func TestACallThatMayNotRunAgainStays(t *testing.T) {
	quote(t, "After a call that is not, it stays where it is for good.")
	s := restarting(t)
	h := s.opened(s.client(), s.worker("one", 1), 1, 0)
	h.call(1, 0)
	h.call(2, wire.Idempotent)
	h.w.vanish()
	m := h.c.expect(wire.Closed)
	require.Equal(t, wire.WorkerGone, m.Header.Status)
	require.EqualValues(t, 2, m.Header.Arg)
	require.Zero(t, s.broker.Inventory().Kept)
}

func TestAOneShotMoves(t *testing.T) {
	for flags, moves := range map[wire.Flags]bool{oneShot: false, oneShot | wire.Idempotent: true} {
		s := restarting(t)
		h := s.begun(s.client(), s.worker("one", 1), 5, flags)
		h.w.vanish()
		if !moves {
			h.c.expectError(wire.WorkerGone, wire.Unknown)
			continue
		}
		h.c.silent()
		h, m := h.taken(s.worker("two", 1))
		require.Equal(t, oneShot, m.Header.Flags)
		require.Equal(t, "first", string(m.Frame(2)))
		quote(t, "A call that an earlier worker may have run is never told to have never started")
		h.worker(wire.Header{Type: wire.Error, Flags: wire.Last, Status: wire.Expired, Seq: 1, Arg: uint32(wire.NeverStarted)}, "too late")
		require.Equal(t, wire.Unknown, wire.Outcome(h.c.expect(wire.Error).Header.Arg))
		require.Zero(t, s.used())
	}
}

// What a stuck thread says after its hit has left it reaches nobody, and its slot is taken until it has ended the session.
func TestALateAnswerIsDropped(t *testing.T) {
	quote(t, "What it says under the old epoch is dropped and counted (`stale-epoch`).")
	s := restarting(t)
	h := s.opened(s.client(), s.worker("one", 2), 1, 0)
	h.call(1, wire.Idempotent)
	h.w.expect(wire.Call)
	s.tell(s.broker.AllHits()[0], &machine.Stuck{Why: machine.Why{Verdict: "STUCK", Measured: "no sign"}})
	s.run()
	h.w.expect(wire.Cancel)
	h.w.expect(wire.End)
	require.Equal(t, "moving", h.state(), "the other slot is at the same worker")
	next, _ := h.taken(s.worker("two", 1))
	next.w.expect(wire.Call)
	h.reply(1, 0)
	h.c.silent()
	require.Equal(t, 1, s.counts[wire.StaleEpoch])
	require.Equal(t, 2, s.used())
	h.worker(wire.Header{Type: wire.Ended, Arg: 1})
	require.Equal(t, 1, s.used())
	next.reply(1, 0)
	require.Equal(t, "answer", string(h.c.expect(wire.Reply).Frame(0)))
	h.c.silent()
}

func TestNobodyTakesTheHitUp(t *testing.T) {
	quote(t, "Then the client is told the last verdict.")
	s := restarting(t)
	h := s.opened(s.client(), s.worker("one", 1), 1, 0)
	h.call(1, wire.Idempotent)
	h.w.vanish()
	s.tick(29 * time.Second)
	s.run()
	h.c.silent()
	s.tick(time.Second)
	s.run()
	m := h.c.expect(wire.Closed)
	require.Equal(t, wire.WorkerGone, m.Header.Status)
	require.EqualValues(t, 1, m.Header.Arg)
	require.Contains(t, string(m.Frame(0)), "no other worker of echo had a slot for it in time")
	require.EqualValues(t, 1, s.broker.Status(s.now).Totals.Unmoved)
}

func TestMovesAreLimited(t *testing.T) {
	quote(t, "and moves a hit at most so often (3 times)")
	s := restarting(t)
	h := s.begun(s.client(), s.worker("w0", 1), 5, oneShot|wire.Idempotent)
	for i := range 3 {
		h.w.vanish()
		h, _ = h.taken(s.worker([]string{"w1", "w2", "w3"}[i], 1))
	}
	h.w.vanish()
	h.c.expectError(wire.WorkerGone, wire.Unknown)
}

func TestWhatDoesNotFitIsNotKept(t *testing.T) {
	s := restarting(t)
	h := s.opened(s.client(), s.worker("one", 1), 1, 0)
	h.client(wire.Header{Type: wire.Call, Flags: wire.Idempotent, Seq: 1}, string(make([]byte, 1000)))
	h.w.vanish()
	require.Equal(t, wire.WorkerGone, h.c.expect(wire.Closed).Header.Status)
}

// What a client says while its hit has no worker.
func TestAHitThatMovesHearsItsClient(t *testing.T) {
	for what, says := range map[string]func(s *theatre, h *session){
		"kept": func(s *theatre, h *session) {
			h.client(wire.Header{Type: wire.Cancel, Seq: 1})
			h.client(wire.Header{Type: wire.Close})
			h.c.silent()
			h, _ = h.taken(s.worker("two", 1))
			h.w.expect(wire.Call)
			require.EqualValues(h.c.t, 1, h.w.expect(wire.Cancel).Header.Seq)
			h.w.expect(wire.End)
		},
		"left": func(s *theatre, h *session) {
			h.c.vanish()
			require.Equal(h.c.t, "over", h.state())
		},
		"killed": func(s *theatre, h *session) {
			s.kill(h.handle)
			require.Equal(h.c.t, wire.Killed, h.c.expect(wire.Closed).Header.Status)
		},
		"too large": func(s *theatre, h *session) {
			h.client(wire.Header{Type: wire.Call, Seq: 2}, string(make([]byte, 1000)))
			h.c.expectError(wire.QueueFull, wire.NeverStarted, "on its way to another worker")
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := restarting(t)
			h := s.opened(s.client(), s.worker("one", 1), 1, 0)
			h.call(1, wire.Idempotent)
			h.w.vanish()
			says(s, h)
		})
	}
}

// A hit that has moved as often as it may, and whose last slot is another broker's, is kept for its client, who is not there.
func TestASlotThatIsTakenFromAHitWithoutItsClient(t *testing.T) {
	cfg := config()
	cfg.Repair, cfg.MaxMoves, cfg.MoveHit, cfg.MoveAll = func(string) string { return "restart" }, 1, 1000, 10_000
	s := newTheatre(t, cfg)
	k := s.keepable(s.client(), s.worker("one", 1))
	k.call(1, wire.Idempotent)
	k.c.vanish()
	k.w.vanish()
	s.run()
	two := s.worker("w", 1)
	m := two.expect(wire.Begin)
	two.expect(wire.Call)
	two.say(wire.Header{Type: wire.Ended, Status: wire.SlotTaken, Hit: m.Header.Hit, Epoch: m.Header.Epoch}, "taken")
	require.Equal(t, 1, s.broker.Inventory().Graves)
	k.resume(s.client(), 1, 0)
	require.Equal(t, wire.SlotTaken, k.c.expect(wire.Closed).Header.Status)
}
