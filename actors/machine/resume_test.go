package machine_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// kept is a hit that can be resumed, as the client that holds it knows it.
type kept struct {
	*session
	s          *theatre
	key        string
	attachment uint32
}

// keepable opens a hit that is kept for ten seconds.
func (s *theatre) keepable(c, w *peer) *kept {
	s.t.Helper()
	c.open(9, "echo", `{"resume_ms": 10000}`)
	m := w.expect(wire.Begin)
	h := &session{c, w, m.Header.Hit, m.Header.Epoch, 9}
	h.worker(wire.Header{Type: wire.Opened, Arg: 4712})
	opened := c.expect(wire.Opened)
	require.Len(s.t, opened.Body, 3)
	require.Len(s.t, opened.Frame(2), 16)
	return &kept{h, s, string(opened.Frame(2)), opened.Header.Epoch}
}

func (k *kept) say(head wire.Header, body ...string) {
	k.s.t.Helper()
	head.Hit, head.Epoch = k.handle, k.attachment
	k.c.say(head, body...)
}

func (k *kept) call(seq uint32, flags wire.Flags) {
	k.s.t.Helper()
	k.say(wire.Header{Type: wire.Call, Seq: seq, Flags: flags}, "question")
	k.w.expect(wire.Call)
}

func (k *kept) answer(seq uint32, flags wire.Flags) {
	k.s.t.Helper()
	k.worker(wire.Header{Type: wire.Reply, Seq: seq, Flags: flags}, fmt.Sprintf("answer %d", seq))
}

// resume has a client take the hit up.
func (k *kept) resume(c *peer, sent, received uint32) *wire.Message {
	k.s.t.Helper()
	c.say(wire.Header{Type: wire.Resume, Hit: k.handle, Seq: sent, Arg: received}, k.key)
	m := c.expect(wire.Resumed)
	require.Equal(k.s.t, k.attachment+1, m.Header.Epoch)
	require.Equal(k.s.t, "w", string(m.Frame(0)))
	k.c, k.attachment = c, m.Header.Epoch
	return m
}

func (k *kept) expectAnswer(seq uint32) *wire.Message {
	k.s.t.Helper()
	m := k.c.expect(wire.Reply)
	require.Equal(k.s.t, seq, m.Header.Seq)
	require.Equal(k.s.t, k.attachment, m.Header.Epoch)
	require.Equal(k.s.t, fmt.Sprintf("answer %d", seq), string(m.Frame(0)))
	return m
}

func standing(t testing.TB) (*theatre, *kept) {
	s := newTheatre(t, config())
	return s, s.keepable(s.client(), s.worker("w", 1))
}

func TestAHitOutlivesItsConnection(t *testing.T) {
	quote(t, "A connection that is lost leaves such hits **adrift**: calls under way go on, nothing is cancelled, and no new ones come.")
	quote(t, "Then come all answers above that and above the client's `arg`, in order and each once, under the new epoch")
	quote(t, "Calls above `seq` never started: the client MAY send them again, from `seq` + 1 on.")
	s, h := standing(t)
	for seq := range uint32(3) {
		h.call(seq+1, 0)
	}
	h.answer(1, 0)
	h.expectAnswer(1)
	h.c.vanish()
	h.w.silent()
	require.Equal(t, 1, s.used())
	h.answer(2, 0)
	m := h.resume(s.client(), 4, 1)
	require.EqualValues(t, 3, m.Header.Seq)
	require.EqualValues(t, 2, m.Header.Arg)
	require.EqualValues(t, 1, binary.BigEndian.Uint32(m.Frame(1)), "what the client has received is acknowledged")
	h.expectAnswer(2)
	h.c.silent()
	h.answer(3, 0)
	h.expectAnswer(3)
	h.call(4, 0)
	h.answer(4, 0)
	h.expectAnswer(4)
	h.say(wire.Header{Type: wire.Close})
	h.w.expect(wire.End)
	h.worker(wire.Header{Type: wire.Ended})
	require.Equal(t, wire.OK, h.c.expect(wire.Closed).Header.Status)
	require.EqualValues(t, 1, s.broker.Status(s.now).Totals.Resumed)
}

func TestOfTwoThatResumeTheLaterWins(t *testing.T) {
	quote(t, "The connection that held the hit before gets CLOSED with status `fenced`: its calls under way have the outcome unknown to it. What it says from then on is `stale-epoch`. Of two that resume the later wins.")
	s, h := standing(t)
	first := h.c
	h.call(1, 0)
	for range 3 {
		before := h.c
		old := h.attachment
		h.resume(s.client(), 1, 0)
		m := before.expect(wire.Closed)
		require.Equal(t, wire.Header{Type: wire.Closed, Status: wire.Fenced, Hit: h.handle, Epoch: old, Arg: 1}, m.Header)
		before.silent()
	}
	require.Equal(t, 3, s.counts[wire.Fenced])
	for _, head := range []wire.Header{{Type: wire.Call, Seq: 2}, {Type: wire.Cancel}, {Type: wire.Close}, {Type: wire.Ack}} {
		head.Hit, head.Epoch = h.handle, 1
		body := []string{}
		if head.Type == wire.Call {
			body = []string{"x"}
		}
		first.say(head, body...)
		first.expectError(wire.StaleEpoch, wire.NeverStarted)
	}
	first.vanish() // it holds nothing any more
	h.w.silent()
	h.answer(1, 0)
	h.expectAnswer(1)
}

func TestTheSameConnectionMayResume(t *testing.T) {
	s, h := standing(t)
	h.call(1, 0)
	h.resume(h.c, 1, 0)
	h.answer(1, 0)
	h.expectAnswer(1)
	h.c.silent()
	require.Zero(t, s.counts[wire.Fenced])
}

func TestBadKeys(t *testing.T) {
	quote(t, "A wrong key is refused (`bad-key`, compared in constant time) and changes nothing; a hit that is over is `unknown-hit`; an `arg` beyond what was answered is `bad-seq`.")
	s, h := standing(t)
	plain := s.opened(s.client(), s.worker("w2", 1), 5, 0)
	thief := s.client()
	for _, c := range []struct {
		hit    uint64
		key    string
		arg    uint32
		status wire.Status
	}{
		{h.handle, strings.Repeat("x", 16), 0, wire.BadKey},
		{h.handle, "", 0, wire.BadKey},
		{h.handle, h.key + "x", 0, wire.BadKey},
		{plain.handle, h.key, 0, wire.BadKey},
		{plain.handle, "", 0, wire.BadKey},
		{h.handle + 1, h.key, 0, wire.UnknownHit},
		{h.handle, h.key, 1, wire.BadSeq},
	} {
		before := s.counts[c.status]
		thief.say(wire.Header{Type: wire.Resume, Hit: c.hit, Arg: c.arg}, c.key)
		thief.expectError(c.status, wire.NeverStarted)
		require.Equal(t, before+1, s.counts[c.status], "counted")
	}
	h.c.silent()
	h.call(1, 0)
	h.answer(1, 0)
	h.expectAnswer(1)
}

func TestResumeOfWhoIsNotThere(t *testing.T) {
	s, h := standing(t)
	c := s.client()
	c.say(wire.Header{Type: wire.Bye})
	c.say(wire.Header{Type: wire.Resume, Hit: h.handle}, h.key)
	c.expectError(wire.NotRegistered, wire.NeverStarted)
}

func TestAcknowledgements(t *testing.T) {
	quote(t, "An ACK beyond what was sent is refused (`bad-seq`), one that goes back is ignored and counted.")
	s, h := standing(t)
	for seq := uint32(1); seq <= 3; seq++ {
		h.call(seq, 0)
		h.answer(seq, 0)
		h.expectAnswer(seq)
	}
	h.say(wire.Header{Type: wire.Ack, Arg: 4})
	h.c.expectError(wire.BadSeq, wire.NeverStarted)
	h.say(wire.Header{Type: wire.Ack, Arg: 2})
	h.say(wire.Header{Type: wire.Ack, Arg: 1})
	require.Equal(t, 2, s.counts[wire.BadSeq])
	h.c.silent()
	m := h.resume(s.client(), 3, 0)
	require.EqualValues(t, 2, binary.BigEndian.Uint32(m.Frame(1)), "two are acknowledged")
	h.expectAnswer(3)

	plain := s.opened(s.client(), s.worker("w2", 1), 5, 0)
	plain.client(wire.Header{Type: wire.Ack})
	plain.c.expectError(wire.BadSeq, wire.NeverStarted)
}

func TestTooManyUnacknowledged(t *testing.T) {
	quote(t, "With 4,096 answers not acknowledged, calls are refused (`queue-full`).")
	_, h := standing(t)
	for seq := uint32(1); seq <= 4096; seq++ {
		h.call(seq, 0)
		h.answer(seq, 0)
		h.c.expect(wire.Reply)
	}
	h.say(wire.Header{Type: wire.Call, Seq: 4097}, "x")
	h.c.expectError(wire.QueueFull, wire.NeverStarted)
	h.say(wire.Header{Type: wire.Ack, Arg: 4096})
	h.call(4097, 0)
}

func TestAnswersThatDoNotFit(t *testing.T) {
	quote(t, "an answer that does not fit, or that is followed by PARTs, is replaced by a note")
	quote(t, "ERROR `reply-lost` with outcome 3 for one that was not kept")
	s, h := standing(t)
	for seq := range uint32(3) {
		h.call(seq+1, 0)
	}
	h.c.vanish()
	h.answer(1, 0)
	h.worker(wire.Header{Type: wire.Reply, Seq: 2}, strings.Repeat("x", config().MaxKept))
	h.answer(3, 0)
	h.resume(s.client(), 3, 0)
	h.expectAnswer(1)
	m := h.c.expect(wire.Error)
	require.Equal(t, wire.Header{Type: wire.Error, Status: wire.LostReply, Hit: h.handle, Epoch: 2, Seq: 2, Arg: uint32(wire.ReplyLost)}, m.Header)
	h.expectAnswer(3)
}

func TestNobodyComesBackInTime(t *testing.T) {
	quote(t, "When the time is over, the hit ends as if it could not be resumed.")
	s, h := standing(t)
	h.call(1, 0)
	h.c.vanish()
	require.Equal(t, s.now+10*time.Second, s.broker.Deadline())
	s.tick(10*time.Second - time.Millisecond)
	s.run()
	h.w.silent()
	s.tick(time.Millisecond)
	s.run()
	h.w.expect(wire.Cancel)
	h.w.expect(wire.End)
	late := s.client()
	late.say(wire.Header{Type: wire.Resume, Hit: h.handle, Seq: 1}, h.key)
	late.expectError(wire.UnknownHit, wire.NeverStarted)
	require.EqualValues(t, 1, s.broker.Status(s.now).Totals.Abandoned)
	require.Equal(t, 1, s.used())
	h.worker(wire.Header{Type: wire.Ended, Arg: 1})
	require.Zero(t, s.used())
	require.Zero(t, s.broker.Deadline())
}

func TestTheTimeIsTheShorterOne(t *testing.T) {
	quote(t, "keep the hit for that many milliseconds, and at most `max_resume_ms` of WELCOME, without its client")
	cfg := config()
	cfg.MaxResume = 3 * time.Second
	s := newTheatre(t, cfg)
	h := s.keepable(s.client(), s.worker("w", 1))
	h.c.vanish()
	require.Equal(t, s.now+3*time.Second, s.broker.Deadline())

	cfg.MaxResume = 0
	s = newTheatre(t, cfg)
	quote(t, "Where the broker keeps no hits, the key is missing.")
	c, w := s.client(), s.worker("w", 1)
	c.open(9, "echo", `{"resume_ms": 10000}`)
	m := w.expect(wire.Begin)
	w.say(wire.Header{Type: wire.Opened, Hit: m.Header.Hit, Epoch: m.Header.Epoch})
	require.Len(t, c.expect(wire.Opened).Body, 2)
}

func TestDetach(t *testing.T) {
	quote(t, "DETACH leaves a hit adrift by intent; it has no answer.")
	s, h := standing(t)
	before := h.c
	h.call(1, 0)
	h.say(wire.Header{Type: wire.Detach})
	h.c.silent()
	h.answer(1, 0)
	h.c.silent()
	h.say(wire.Header{Type: wire.Call, Seq: 2}, "x")
	h.c.expectError(wire.NotOwner, wire.NeverStarted, "RESUME it")
	rows := s.listed()
	require.Equal(t, "adrift", rows[0].State)
	require.EqualValues(t, 10_000, rows[0].LeftMS)
	h.resume(s.client(), 1, 0)
	h.expectAnswer(1)
	before.say(wire.Header{Type: wire.Detach, Hit: h.handle, Epoch: 1})
	before.expectError(wire.StaleEpoch, wire.NeverStarted)
	before.vanish()
	h.call(2, 0)

	plain := s.opened(s.client(), s.worker("w2", 1), 5, 0)
	plain.client(wire.Header{Type: wire.Detach})
	plain.c.expectError(wire.BadKey, wire.NeverStarted)
}

func (s *theatre) listed() []machine.HitRow {
	answer, _ := s.broker.Administer(s.now, machine.AdminRequest{Cmd: "hit.list"}, nil)
	return answer.(map[string]any)["hits"].([]machine.HitRow)
}

func TestByeEndsAHitThatCouldBeResumed(t *testing.T) {
	quote(t, "CLOSE ends the hit as ever, and BYE ends all hits of the client.")
	s, h := standing(t)
	h.c.say(wire.Header{Type: wire.Bye})
	h.w.expect(wire.Cancel)
	h.w.expect(wire.End)
	h.worker(wire.Header{Type: wire.Ended})
	require.Zero(t, s.broker.Inventory().Graves)
	require.Zero(t, s.broker.Deadline())
}

// ends are the ways a hit can end for good.
var ends = map[string]struct {
	bring  func(s *theatre, h *kept)
	status wire.Status
}{
	"worker lost": {func(_ *theatre, h *kept) { h.w.vanish() }, wire.WorkerGone},
	"ended": {func(_ *theatre, h *kept) {
		h.worker(wire.Header{Type: wire.Ended, Status: wire.Panicked, Arg: 2}, "it crashed")
	}, wire.Panicked},
	"killed": {func(s *theatre, h *kept) { s.kill(h.handle) }, wire.Killed},
	"crashed": {func(s *theatre, h *kept) {
		s.crash(s.find(h.handle))
		s.run()
	}, wire.Internal},
}

func TestTheEndIsKept(t *testing.T) {
	quote(t, "What ends a hit for good is kept like an answer, for the time of `resume_ms`: who resumes it then gets RESUMED, the answers, and CLOSED.")
	quote(t, "A client SHALL acknowledge CLOSED, and an answer with `last`, by an ACK of the last answer it has received; the broker forgets all of it then.")
	for name, end := range ends {
		for _, adrift := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, adrift %t", name, adrift), func(t *testing.T) {
				s, h := standing(t)
				h.call(1, 0)
				h.call(2, 0)
				if adrift {
					h.c.vanish()
				}
				h.answer(1, 0)
				end.bring(s, h)
				if !adrift {
					require.Equal(t, end.status, closed(t, h.c).Header.Status)
					h.c.vanish()
				}
				for range 2 { // the second one finds it as well, as long as nothing is acknowledged
					h.resume(s.client(), 2, 0)
					h.expectAnswer(1)
					m := h.c.expect(wire.Closed)
					require.Equal(t, end.status, m.Header.Status)
					require.Equal(t, h.attachment, m.Header.Epoch)
					require.EqualValues(t, 2, m.Header.Arg)
					require.NotEmpty(t, m.Frame(0))
					h.c.silent()
				}
				h.w.inbox = nil
				if name == "killed" || name == "crashed" {
					h.worker(wire.Header{Type: wire.Ended, Arg: 2})
				}
				require.Equal(t, 1, s.broker.Inventory().Graves)
				h.say(wire.Header{Type: wire.Ack, Arg: 1})
				require.Zero(t, s.broker.Inventory().Graves)
				h.c.say(wire.Header{Type: wire.Resume, Hit: h.handle}, h.key)
				h.c.expectError(wire.UnknownHit, wire.NeverStarted)
				require.Zero(t, s.broker.Deadline())
			})
		}
	}
}

// closed reads until CLOSED comes.
func closed(t testing.TB, c *peer) *wire.Message {
	t.Helper()
	for {
		m := c.next()
		if m.Header.Type == wire.Closed {
			return m
		}
	}
}

func TestTheLastAnswerIsKept(t *testing.T) {
	s, h := standing(t)
	h.call(1, wire.Last)
	h.c.vanish()
	h.answer(1, wire.Last)
	require.Zero(t, s.used())
	h.resume(s.client(), 1, 0)
	require.Equal(t, wire.Last, h.expectAnswer(1).Header.Flags)
	h.c.silent()
	h.say(wire.Header{Type: wire.Ack, Arg: 0}) // says that it has not got it
	require.Equal(t, 1, s.broker.Inventory().Graves)
	h.say(wire.Header{Type: wire.Ack, Arg: 2})
	require.Equal(t, 1, s.counts[wire.BadSeq])
	h.say(wire.Header{Type: wire.Ack, Arg: 1})
	require.Zero(t, s.broker.Inventory().Graves)
}

func TestWhatIsKeptGoesInTime(t *testing.T) {
	s, h := standing(t)
	h.call(1, 0)
	h.c.vanish()
	h.answer(1, 0)
	h.w.vanish()
	s.tick(10 * time.Second)
	require.Zero(t, s.broker.Inventory().Graves)
	require.Zero(t, s.broker.Deadline())
	c := s.client()
	c.say(wire.Header{Type: wire.Resume, Hit: h.handle}, h.key)
	c.expectError(wire.UnknownHit, wire.NeverStarted)
}

func TestOptionsOfResumption(t *testing.T) {
	quote(t, "A one-shot and a hit with the flag `direct` cannot be resumed (`bad-frame`).")
	s := newTheatre(t, config())
	c := s.client()
	s.worker("w", 1)
	c.openFor(1, oneShot, 0, "echo", `{"resume_ms": 1}`, "x")
	c.expectError(wire.BadFrame, wire.NeverStarted, "one-shot")
	for _, ms := range []string{"-1", "86400001"} {
		c.open(2, "echo", `{"resume_ms": `+ms+`}`)
		c.expectError(wire.BadFrame, wire.NeverStarted, "resume_ms", ms)
	}
}

func TestACloseThatCrossesTheLoss(t *testing.T) {
	s, h := standing(t)
	h.call(1, 0)
	h.say(wire.Header{Type: wire.Close})
	h.w.expect(wire.End)
	h.c.vanish()
	h.w.silent()
	h.answer(1, 0)
	h.worker(wire.Header{Type: wire.Ended, Arg: 1})
	require.Zero(t, s.used())
	h.resume(s.client(), 1, 0)
	h.expectAnswer(1)
	require.Equal(t, wire.OK, h.c.expect(wire.Closed).Header.Status)
}
