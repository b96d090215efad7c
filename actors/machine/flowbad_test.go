package machine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// What is wrong with parts, and what is said of it.
var wrongParts = map[string]struct {
	size   uint64
	kib    uint32
	parts  []part
	status wire.Status
	words  string
}{
	"the second first":          {100, 1, []part{{2, wire.More, 1}}, wire.BadPart, "part 2 of call 1 follows part 0: number parts one by one"},
	"one twice":                 {100, 1, []part{{1, wire.More, 1}, {1, wire.More, 1}}, wire.BadPart, "part 1 of call 1 follows part 1"},
	"one left out":              {100, 1, []part{{1, wire.More, 1}, {3, wire.More, 1}}, wire.BadPart, "part 3 of call 1 follows part 1"},
	"more than was announced":   {100, 1, []part{{1, wire.More, 60}, {2, 0, 41}}, wire.BadPart, "101 bytes, 100 were announced"},
	"less than was announced":   {100, 1, []part{{1, wire.More, 60}, {2, 0, 39}}, wire.BadPart, "ends after 99 bytes, 100 were announced"},
	"none of what was promised": {100, 1, []part{{1, 0, 0}}, wire.BadPart, "ends after 0 bytes, 100 were announced"},
	"some of nothing":           {0, 0, []part{{1, 0, 1}}, wire.BadPart, "1 bytes, 0 were announced"},
	"without any credit":        {wire.Unsized, 0, []part{{1, wire.More, 1}}, wire.OverCredit, "the receiver has allowed 0: wait for CREDIT"},
	"beyond the credit":         {wire.Unsized, 1, []part{{1, wire.More, 1024}, {2, wire.More, 1}}, wire.OverCredit, "the receiver has allowed 1024"},
}

func TestWrongPartsOfCalls(t *testing.T) {
	quote(t, "A part out of order, beyond the announced size, beyond the credit, or of a body that was not announced, and a body that ends before its announced size, make the call fail: the worker gets CANCEL, the client ERROR `bad-part` or `over-credit`.")
	quote(t, "Half a body SHALL NOT be taken for a whole one.")
	for name, c := range wrongParts {
		t.Run(name, func(t *testing.T) {
			s, h := streaming(t, c.size, c.kib)
			h.up(1, c.parts...)
			for range len(c.parts) - 1 {
				require.True(t, h.w.expect(wire.Part).Header.Flags.Has(wire.More), "what the worker has got is not whole")
			}
			require.EqualValues(t, 1, h.w.expect(wire.Cancel).Header.Seq)
			h.up(1, part{7, 0, 5}, part{8, 0, 0}) // what is on its way
			h.w.silent()
			require.Equal(t, 1, s.counts[c.status])
			h.call(2, 0) // the calls after it are not harmed
			h.w.expect(wire.Call)
			h.answers(1)
			m := h.c.expectError(c.status, wire.Unknown, c.words)
			require.Equal(t, wire.Header{Type: wire.Error, Status: c.status, Hit: h.handle, Epoch: 1, Seq: 1, Arg: uint32(wire.Unknown)}, m.Header)
			h.reply(2, 0)
			require.EqualValues(t, 2, h.c.expect(wire.Reply).Header.Seq)
			h.c.silent()
			require.Equal(t, 1, total(s.counts[:]), "counted once")
		})
	}
}

// Whatever the worker answers to a call whose body was wrong, its client is told that.
func TestAnswersToWrongBodies(t *testing.T) {
	answers := map[string]struct {
		say     func(h *session)
		outcome wire.Outcome
	}{
		"a reply":  {func(h *session) { h.reply(1, 0) }, wire.Unknown},
		"an error": {func(h *session) { h.answers(1) }, wire.Unknown},
		"before its turn": {func(h *session) {
			h.worker(wire.Header{Type: wire.Error, Status: wire.Cancelled, Seq: 1, Arg: uint32(wire.NeverStarted)}, "cancelled: before its turn")
		}, wire.NeverStarted},
		"a reply in parts": {func(h *session) {
			h.begins(1, 100)
			h.down(1, part{1, wire.More, 50})
			h.answers(1)
		}, wire.Unknown},
	}
	for name, a := range answers {
		t.Run(name, func(t *testing.T) {
			_, h := streaming(t, 100, 1)
			h.up(1, part{2, 0, 100})
			h.w.expect(wire.Cancel)
			a.say(h)
			h.c.expectError(wire.BadPart, a.outcome, "part 2 of call 1 follows part 0")
			h.call(2, 0)
			h.w.expect(wire.Call)
			h.begins(2, 1)
			h.c.expect(wire.Reply)
			h.c.silent()
			h.w.silent()
		})
	}
}

// A wrong body of the last call does not keep the hit.
func TestAWrongBodyOfTheLastCall(t *testing.T) {
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 1), 5, 0)
	h.announce(1, 100, wire.Last)
	require.Equal(t, wire.More|wire.Last, h.w.expect(wire.Call).Header.Flags)
	h.up(1, part{2, 0, 0})
	h.w.expect(wire.Cancel)
	h.worker(wire.Header{Type: wire.Error, Flags: wire.Last, Status: wire.Cancelled, Seq: 1, Arg: uint32(wire.Unknown)}, "stopped: as asked")
	require.True(t, h.c.expectError(wire.BadPart, wire.Unknown).Header.Flags.Has(wire.Last))
	require.Equal(t, "over", h.state())
	require.Zero(t, s.used())
	h.c.silent()
}

func TestWrongPartsOfReplies(t *testing.T) {
	for name, c := range wrongParts {
		t.Run(name, func(t *testing.T) {
			s, h := replying(t, c.size, c.kib, 0)
			h.down(1, c.parts...)
			for range len(c.parts) - 1 {
				require.True(t, h.c.expect(wire.Part).Header.Flags.Has(wire.More), "what the client has got is not whole")
			}
			h.w.expectError(c.status, wire.NeverStarted, c.words)
			require.EqualValues(t, 1, h.w.expect(wire.Cancel).Header.Seq)
			m := h.c.expect(wire.Error)
			require.Equal(t, wire.Header{Type: wire.Error, Status: wire.BadPart, Hit: h.handle, Epoch: 1, Seq: 1, Arg: uint32(wire.Unknown)}, m.Header)
			require.Contains(t, string(m.Frame(0)), "worker w sent a reply that is not whole: ")
			require.Contains(t, string(m.Frame(0)), c.words)
			before := total(s.counts[:])
			h.down(1, part{7, wire.More, 5}, part{8, 0, 5}) // what it had on its way
			h.answers(1)
			h.call(2, 0)
			h.w.expect(wire.Call)
			h.reply(2, 0)
			h.c.expect(wire.Reply)
			h.c.silent()
			h.w.silent()
			require.Equal(t, before, total(s.counts[:]))
		})
	}
}

// Of a reply that is not whole only the end of the hit is still heard.
func TestTheEndBehindAWrongReply(t *testing.T) {
	s, h := replying(t, 9, 1, wire.Last)
	h.down(1, part{2, wire.More, 1})
	h.w.expectError(wire.BadPart, wire.NeverStarted)
	h.w.expect(wire.Cancel)
	require.True(t, h.c.expectError(wire.BadPart, wire.Unknown).Header.Flags.Has(wire.Last))
	h.w.expect(wire.End)
	require.Equal(t, 1, s.used(), "the slot is taken until the worker has ended the session")
	h.down(1, part{3, wire.More, 1}, part{4, wire.Last, 1})
	require.Equal(t, "over", h.state())
	require.Zero(t, s.used())
	h.c.silent()
	h.w.silent()
}

func TestRepliesThatBeginWrong(t *testing.T) {
	begin := wire.Header{Type: wire.Reply, Flags: wire.More, Seq: 1}
	for name, say := range map[string]func(h *session){
		"a size that is none": func(h *session) { h.worker(begin, "size", "head") },
		"the flag last on the head": func(h *session) {
			head := begin
			head.Flags |= wire.Last
			h.worker(head, string(wire.SizeFrame(1)), "head")
		},
		"last and more on a part": func(h *session) {
			h.begins(1, 9)
			h.c.expect(wire.Reply)
			h.allowDown(1, 1)
			h.w.expect(wire.Credit)
			h.down(1, part{1, wire.More | wire.Last, 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTheatre(t, config())
			h := s.opened(s.client(), s.worker("w", 1), 5, 0)
			h.call(1, 0)
			h.w.expect(wire.Call)
			say(h)
			h.w.expectError(wire.BadPart, wire.NeverStarted)
			h.w.expect(wire.Cancel)
			h.c.expectError(wire.BadPart, wire.Unknown, "not whole")
		})
	}
}

func TestPartsOfNoBody(t *testing.T) {
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 1), 5, 0)
	h.up(1, part{1, 0, 5})
	m := h.c.expectError(wire.BadPart, wire.NeverStarted, "part 1 of call 1", "announce them by the flag more")
	require.Zero(t, m.Header.Seq, "the seq may be another call's soon")
	h.down(1, part{1, 0, 5})
	h.w.expectError(wire.BadPart, wire.NeverStarted, "part 1 of call 1")

	h.call(1, 0)
	h.w.expect(wire.Call)
	h.down(1, part{1, 0, 5}) // of a reply that has not begun
	h.w.expectError(wire.BadPart, wire.NeverStarted)
	h.up(1, part{1, 0, 5}) // of a call without the flag more
	h.w.expect(wire.Cancel)
	h.up(1, part{2, 0, 5})
	h.w.silent()
	h.reply(1, 0)
	h.c.expectError(wire.BadPart, wire.Unknown, "not announced in parts", "set the flag more")

	h.announce(2, 0, 0)
	h.w.expect(wire.Call)
	h.up(2, part{1, 0, 0})
	h.w.expect(wire.Part)
	h.up(2, part{2, 0, 0}) // behind the last one
	h.w.expect(wire.Cancel)
	h.answers(2)
	h.c.expectError(wire.BadPart, wire.Unknown, "complete")
	h.c.silent()
	require.Equal(t, 5, s.counts[wire.BadPart])
}

// A call that is refused is refused with its body, of which a part may be on its way: an empty one needs no credit.
func TestPartsOfARefusedCall(t *testing.T) {
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 1), 5, 0)
	for seq := range uint32(4) {
		h.call(seq+1, 0)
		h.w.expect(wire.Call)
	}
	h.announce(5, 0, 0)
	h.up(5, part{1, 0, 0})
	h.c.expectError(wire.QueueFull, wire.NeverStarted)
	h.c.silent()
	h.reply(1, 0)
	h.c.expect(wire.Reply)
	h.announce(5, 0, 0)
	h.up(5, part{1, 0, 0})
	h.w.expect(wire.Call)
	h.w.expectPart(h, h.epoch, 5, 1, 0, 0)

	h.client(wire.Header{Type: wire.Close})
	h.w.expect(wire.End)
	h.announce(6, 0, 0)
	h.up(6, part{1, 0, 0})
	h.c.expectError(wire.IsClosed, wire.NeverStarted)
	h.c.silent()
	require.Zero(t, s.counts[wire.BadPart])

	h.announce(6, 3, 0)
	h.c.expectError(wire.IsClosed, wire.NeverStarted)
	h.client(wire.Header{Type: wire.Call, Flags: wire.More, Seq: 6}, "siz", "head")
	h.c.expectError(wire.IsClosed, wire.NeverStarted)
}

func TestASizeThatIsNone(t *testing.T) {
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 1), 5, 0)
	h.client(wire.Header{Type: wire.Call, Flags: wire.More, Seq: 1}, "seven b", "head")
	h.c.expectError(wire.BadFrame, wire.NeverStarted, "its first frame has 7 bytes, the announced size has 8")
	h.call(1, 0) // the seq is free again
	h.w.expect(wire.Call)
	h.w.silent()
	head := wire.Header{Type: wire.Call, Flags: wire.More, Seq: 2}
	require.Error(t, head.Check(1), "a size and no head")
	require.Equal(t, 1, s.counts[wire.BadFrame])
}

// A worker that does not read loses the call, not the hit.
func TestAPartThatTheWorkerCannotBeHanded(t *testing.T) {
	s, h := streaming(t, 100, 1)
	h.w.slow = true
	h.up(1, part{1, wire.More, 50})
	h.w.slow = false
	h.w.expect(wire.Cancel)
	h.up(1, part{2, 0, 50})
	h.answers(1)
	h.c.expectError(wire.PeerSlow, wire.Unknown, "worker w cannot be handed the body", "later")
	h.w.slow = true
	h.announce(2, 0, 0)
	h.c.expectError(wire.PeerSlow, wire.NeverStarted, "cannot be told of call 2")
	h.up(2, part{1, 0, 0}) // crosses the refusal
	h.w.slow = false
	h.announce(2, 0, 0)
	h.w.expect(wire.Call)
	h.up(2, part{1, 0, 0})
	h.w.expect(wire.Part)
	h.c.silent()
	h.w.silent()
	require.Zero(t, s.counts[wire.BadPart])
}

// Whoever is lost in the middle of a body: the other side is told, and the slot is free again.
func TestLossInTheMiddleOfABody(t *testing.T) {
	for name, begin := range map[string]func(t *testing.T) (*theatre, *session){
		"of a call":  func(t *testing.T) (*theatre, *session) { return streaming(t, 100, 1) },
		"of a reply": func(t *testing.T) (*theatre, *session) { return replying(t, 100, 1, 0) },
	} {
		t.Run("the client/"+name, func(t *testing.T) {
			s, h := begin(t)
			h.c.vanish()
			require.Zero(t, h.w.expect(wire.Cancel).Header.Seq)
			h.w.expect(wire.End)
			h.down(1, part{1, 0, 100}) // or it is refused, if it was of a call
			h.w.inbox = nil
			h.worker(wire.Header{Type: wire.Ended})
			require.Zero(t, s.used())
		})
		t.Run("the worker/"+name, func(t *testing.T) {
			s, h := begin(t)
			h.w.vanish()
			m := h.c.expect(wire.Closed)
			require.Equal(t, wire.WorkerGone, m.Header.Status)
			require.EqualValues(t, 1, m.Header.Arg, "it may have run")
			require.Zero(t, s.used())
		})
		t.Run("an operator ends it/"+name, func(t *testing.T) {
			s, h := begin(t)
			s.kill(h.handle)
			require.Equal(t, wire.Killed, h.c.expect(wire.Closed).Header.Status)
			h.w.expect(wire.Cancel)
			h.w.expect(wire.End)
			h.up(1, part{1, 0, 100})
			h.allowDown(1, 9)
			h.c.silent()
			h.w.silent()
			h.worker(wire.Header{Type: wire.Ended})
			require.Zero(t, s.used())
		})
	}
}
