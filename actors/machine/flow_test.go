package machine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// announce has the client make a call of which so many bytes follow in parts.
func (h *session) announce(seq uint32, size uint64, flags wire.Flags) {
	h.c.t.Helper()
	h.client(wire.Header{Type: wire.Call, Flags: wire.More | flags, Seq: seq}, string(wire.SizeFrame(size)), "head")
}

// begins has the worker begin a reply in parts.
func (h *session) begins(seq uint32, size uint64) {
	h.w.t.Helper()
	h.worker(wire.Header{Type: wire.Reply, Flags: wire.More, Seq: seq}, string(wire.SizeFrame(size)), "head")
}

// part is what a side sends of a body: its number, whether more follow, and bytes.
type part struct {
	no    uint32
	flags wire.Flags
	n     int
}

func (h *session) up(seq uint32, parts ...part) {
	h.c.t.Helper()
	for _, p := range parts {
		h.client(wire.Header{Type: wire.Part, Flags: p.flags, Seq: seq, Part: p.no}, string(make([]byte, p.n)))
	}
}

func (h *session) down(seq uint32, parts ...part) {
	h.w.t.Helper()
	for _, p := range parts {
		h.worker(wire.Header{Type: wire.Part, Flags: p.flags, Seq: seq, Part: p.no}, string(make([]byte, p.n)))
	}
}

// allowUp has the worker allow so many KiB of a call's body; allowDown the client, of a reply's.
func (h *session) allowUp(seq, kib uint32) {
	h.worker(wire.Header{Type: wire.Credit, Seq: seq, Arg: kib})
}

func (h *session) allowDown(seq, kib uint32) {
	h.client(wire.Header{Type: wire.Credit, Seq: seq, Arg: kib})
}

// expectPart takes a part, and checks all of its header.
func (p *peer) expectPart(h *session, epoch, seq, no uint32, flags wire.Flags, n int) {
	p.t.Helper()
	m := p.expect(wire.Part)
	require.Equal(p.t, wire.Header{Type: wire.Part, Flags: flags, Hit: h.handle, Epoch: epoch, Seq: seq, Part: no}, m.Header)
	require.Equal(p.t, n, m.BodySize())
}

// streaming is a hit whose first call has been announced at both ends, with so many bytes to come, and some KiB allowed.
func streaming(t *testing.T, size uint64, kib uint32) (*theatre, *session) {
	t.Helper()
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 2), 5, 0)
	h.announce(1, size, 0)
	h.w.expect(wire.Call)
	if kib > 0 {
		h.allowUp(1, kib)
		h.c.expect(wire.Credit)
	}
	return s, h
}

// replying is a hit whose first call is being answered in parts.
func replying(t *testing.T, size uint64, kib uint32, flags wire.Flags) (*theatre, *session) {
	t.Helper()
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 2), 5, 0)
	h.call(1, flags)
	h.w.expect(wire.Call)
	h.begins(1, size)
	h.c.expect(wire.Reply)
	if kib > 0 {
		h.allowDown(1, kib)
		h.w.expect(wire.Credit)
	}
	return s, h
}

func TestABodyInParts(t *testing.T) {
	quote(t, "A CALL or REPLY with the flag `more` has, before its body frames, a frame of 8 octets, network order: how many bytes follow in PARTs, or 2^64-1 where that is not known.")
	quote(t, "The body frames are the **head**.")
	quote(t, "PARTs follow with the same hit, epoch and seq, numbered in `part` from 1; all but the last carry `more`. A last PART may be empty.")
	quote(t, "CREDIT with a hit and seq says in `arg` how many KiB of that body may have been sent in all: from the worker of the call's body, from the client of the reply's.")
	for _, size := range []uint64{3000, wire.Unsized} {
		s := newTheatre(t, config())
		h := s.opened(s.client(), s.worker("w", 1), 5, 0)
		h.announce(1, size, 0)
		m := h.w.expect(wire.Call)
		require.Equal(t, wire.Header{Type: wire.Call, Flags: wire.More, Hit: h.handle, Epoch: h.epoch, Seq: 1}, m.Header)
		require.Equal(t, []string{string(wire.SizeFrame(size)), "head"}, text(m.Body))
		h.allowUp(1, 2)
		require.Equal(t, wire.Header{Type: wire.Credit, Hit: h.handle, Epoch: 1, Seq: 1, Arg: 2}, h.c.expect(wire.Credit).Header)
		h.up(1, part{1, wire.More, 2048})
		h.w.expectPart(h, h.epoch, 1, 1, wire.More, 2048)
		h.allowUp(1, 3)
		h.c.expect(wire.Credit)
		h.up(1, part{2, wire.More, 952}, part{3, 0, 0})
		h.w.expectPart(h, h.epoch, 1, 2, wire.More, 952)
		h.w.expectPart(h, h.epoch, 1, 3, 0, 0)

		h.begins(1, size)
		m = h.c.expect(wire.Reply)
		require.Equal(t, wire.Header{Type: wire.Reply, Flags: wire.More, Hit: h.handle, Epoch: 1, Seq: 1}, m.Header)
		require.Equal(t, []string{string(wire.SizeFrame(size)), "head"}, text(m.Body))
		h.allowDown(1, 3)
		require.Equal(t, wire.Header{Type: wire.Credit, Hit: h.handle, Epoch: h.epoch, Seq: 1, Arg: 3}, h.w.expect(wire.Credit).Header)
		h.down(1, part{1, wire.More, 1000}, part{2, 0, 2000})
		h.c.expectPart(h, 1, 1, 1, wire.More, 1000)
		h.c.expectPart(h, 1, 1, 2, 0, 2000)
		h.call(2, 0) // and the hit goes on
		h.w.expect(wire.Call)
		h.reply(2, 0)
		h.c.expect(wire.Reply)
		h.c.silent()
		h.w.silent()
		require.Zero(t, total(s.counts[:]))
	}
}

func TestCreditOfBodies(t *testing.T) {
	quote(t, "A sender SHALL NOT send bytes of PARTs beyond its credit, of which it has none at first.")
	quote(t, "It is absolute, as in section 7; one that goes back is ignored and counted.")
	s, h := streaming(t, wire.Unsized, 0)
	for _, kib := range []uint32{4, 4, 3, 0, 1<<31 + 4} {
		h.allowUp(1, kib)
	}
	require.EqualValues(t, 4, h.c.expect(wire.Credit).Header.Arg)
	h.c.silent() // what goes back, or was said before, is not passed on
	require.Equal(t, 3, s.counts[wire.OverCredit], "counted are those that go back")
	h.up(1, part{1, wire.More, 4096})
	h.w.expectPart(h, h.epoch, 1, 1, wire.More, 4096)

	for _, seq := range []uint32{0, 2, 7} { // nobody sends a body under this seq
		h.allowUp(seq, 9)
		h.allowDown(seq, 9)
	}
	h.allowDown(1, 9) // the reply has not begun
	h.c.silent()
	h.w.silent()
	h.up(1, part{2, 0, 1})
	h.w.expect(wire.Cancel)
	h.answers(1)
	h.c.expectError(wire.OverCredit, wire.Unknown, "4097 bytes, the receiver has allowed 4096", "wait for CREDIT")

	s, h = replying(t, wire.Unsized, 2, 0)
	h.allowDown(1, 1)
	require.Equal(t, 1, s.counts[wire.OverCredit])
	h.down(1, part{1, 0, 2048})
	h.c.expectPart(h, 1, 1, 1, 0, 2048)
	h.allowDown(1, 5) // all of it is there
	h.w.silent()
	h.client(wire.Header{Type: wire.Close})
	h.w.expect(wire.End)
	h.worker(wire.Header{Type: wire.Ended})
	h.c.expect(wire.Closed)
	h.allowDown(1, 6)
	h.w.say(wire.Header{Type: wire.Credit, Hit: h.handle, Epoch: h.epoch, Seq: 1, Arg: 6})
	h.c.silent() // the hit is over, and nobody can know that sooner
	h.w.silent()
}

// A receiver may allow as much as it likes: its sender hears of so much of it that little waits there.
func TestCreditBeyondWhatHasCome(t *testing.T) {
	quote(t, "It tells a sender of at most 4 MiB beyond what has come so far, and of the rest as that comes: a receiver that allows more than it reads cannot fill its sender.")
	const most, mib = 4 << 10, 1 << 20 // KiB, bytes
	up, down := func(s *theatre, h *session) (receiver func(kib uint32), sender *peer, send func(part)) {
		return func(kib uint32) { h.allowUp(1, kib) }, h.c, func(p part) { h.up(1, p) }
	}, func(s *theatre, h *session) (receiver func(kib uint32), sender *peer, send func(part)) {
		return func(kib uint32) { h.allowDown(1, kib) }, h.w, func(p part) { h.down(1, p) }
	}
	for name, side := range map[string]func(*theatre, *session) (func(uint32), *peer, func(part)){"a call's": up, "a reply's": down} {
		t.Run(name, func(t *testing.T) {
			begin := streaming
			if name != "a call's" {
				begin = func(t *testing.T, size uint64, kib uint32) (*theatre, *session) { return replying(t, size, kib, 0) }
			}
			s, h := begin(t, wire.Unsized, 0)
			allow, sender, send := side(s, h)
			allow(1 << 30) // a TiB
			require.EqualValues(t, most, sender.expect(wire.Credit).Header.Arg)
			allow(1<<30 + 1)
			sender.silent()
			send(part{1, wire.More, mib - 1})
			sender.silent() // not worth a message
			send(part{2, wire.More, 1})
			require.EqualValues(t, most+1024, sender.expect(wire.Credit).Header.Arg)
			send(part{3, wire.More, 4*mib + 1})
			status := wire.OverCredit
			if name == "a call's" {
				require.EqualValues(t, 1, h.w.inbox[len(h.w.inbox)-1].Header.Seq)
				require.Equal(t, wire.Cancel, h.w.inbox[len(h.w.inbox)-1].Header.Type)
			} else {
				h.w.expectError(status, wire.NeverStarted, "the receiver has allowed 5242880")
			}
			require.Equal(t, 1, s.counts[status], "it is held to what it was told")
		})
	}
	_, h := streaming(t, wire.Unsized, 0)
	h.allowUp(1, 5<<10) // the rest comes even if it is little
	require.EqualValues(t, most, h.c.expect(wire.Credit).Header.Arg)
	h.up(1, part{1, wire.More, 2 * mib})
	require.EqualValues(t, 5<<10, h.c.expect(wire.Credit).Header.Arg)
	h.up(1, part{2, wire.More, mib})
	h.c.silent()
}

// answers has the worker answer a call that it was told to stop.
func (h *session) answers(seq uint32) {
	h.w.t.Helper()
	h.worker(wire.Header{Type: wire.Error, Status: wire.Cancelled, Seq: seq, Arg: uint32(wire.Unknown)}, "stopped while it ran: as asked")
}

func TestTheOrderOfBodies(t *testing.T) {
	quote(t, "The parts of a call are sent before the hit's next CALL (`bad-seq`), those of a reply before its next answer.")
	s, h := streaming(t, 10, 1)
	h.call(2, 0)
	h.c.expectError(wire.BadSeq, wire.NeverStarted, "the body of call 1 is not complete", "send its last part first, or CANCEL")
	h.up(1, part{1, 0, 10})
	h.w.expectPart(h, h.epoch, 1, 1, 0, 10)
	h.call(2, 0)
	h.w.expect(wire.Call)
	h.begins(1, 10)
	h.c.expect(wire.Reply)
	h.allowDown(1, 1)
	h.w.expect(wire.Credit)
	h.reply(2, 0)
	h.w.expectError(wire.BadSeq, wire.NeverStarted, "the reply to call 1 is not complete", "send its last part, or an ERROR")
	h.begins(1, 10)
	h.w.expectError(wire.BadSeq, wire.NeverStarted, "is not complete")
	h.down(1, part{1, 0, 10})
	h.c.expectPart(h, 1, 1, 1, 0, 10)
	h.reply(2, 0)
	require.EqualValues(t, 2, h.c.expect(wire.Reply).Header.Seq)
	h.begins(2, 10)
	h.w.expectError(wire.BadSeq, wire.NeverStarted, "answered so far 2")
	require.Equal(t, 4, s.counts[wire.BadSeq])
	h.c.silent()
}

func TestTheLastPartIsTheLastWord(t *testing.T) {
	quote(t, "Where the reply ends the hit, `last` stands on its last PART.")
	for name, forgets := range map[string]bool{"as asked": false, "it forgets to say so": true} {
		t.Run(name, func(t *testing.T) {
			s, h := replying(t, 5, 1, wire.Last)
			h.down(1, part{1, wire.More, 3})
			h.c.expectPart(h, 1, 1, 1, wire.More, 3)
			if forgets {
				h.down(1, part{2, 0, 2})
				h.w.expect(wire.End)
				require.Equal(t, "closing", h.state())
				h.worker(wire.Header{Type: wire.Ended})
			} else {
				h.down(1, part{2, wire.Last, 2})
			}
			h.c.expectPart(h, 1, 1, 2, wire.Last, 2)
			require.Equal(t, "over", h.state())
			require.Zero(t, s.used())
			h.c.silent()
			h.w.silent()
		})
	}
	s, h := replying(t, 5, 1, 0) // it says so unasked
	h.down(1, part{1, wire.Last, 5})
	h.c.expectPart(h, 1, 1, 1, 0, 5)
	require.EqualValues(t, 1, h.c.expect(wire.Closed).Header.Arg)
	require.Zero(t, s.used())
}

func TestPartsThatCrossTheEnd(t *testing.T) {
	quote(t, "PARTs and CREDIT of a call that is over cross its end in good faith and are dropped.")
	quote(t, "CANCEL ends the sending of the call's body and of its reply.")
	quote(t, "A worker MAY answer before it has got the whole body: the client then sends no more of it.")
	quote(t, "An ERROR with the call's seq ends a reply in the middle.")
	late := []part{{2, wire.More, 5}, {9, wire.More, 1 << 20}, {3, 0, 5}}
	ends := map[string]func(h *session){
		"cancelled": func(h *session) {
			h.client(wire.Header{Type: wire.Cancel, Seq: 1})
			require.EqualValues(h.w.t, 1, h.w.expect(wire.Cancel).Header.Seq)
		},
		"all cancelled": func(h *session) {
			h.client(wire.Header{Type: wire.Cancel})
			h.w.expect(wire.Cancel)
		},
		"answered": func(h *session) {
			h.reply(1, 0)
			h.c.expect(wire.Reply)
		},
		"failed": func(h *session) {
			h.worker(wire.Header{Type: wire.Error, Status: wire.ServiceError, Seq: 1}, "no: thank you")
			require.Equal(h.c.t, wire.ServiceError, h.c.expect(wire.Error).Header.Status)
		},
		"the session has ended": func(h *session) {
			h.worker(wire.Header{Type: wire.Ended, Status: wire.Panicked, Arg: 1})
			h.c.expect(wire.Closed)
		},
		"the worker is lost": func(h *session) {
			h.w.vanish()
			h.c.expect(wire.Closed)
		},
		"answered in parts, which end": func(h *session) {
			h.begins(1, 0)
			h.c.expect(wire.Reply)
			h.down(1, part{1, 0, 0})
			h.c.expect(wire.Part)
		},
		"answered in parts, which break off": func(h *session) {
			h.begins(1, 9)
			h.c.expect(wire.Reply)
			h.worker(wire.Header{Type: wire.Error, Status: wire.ServiceError, Seq: 1, Arg: uint32(wire.Unknown)}, "out of ink: buy some")
			require.Equal(h.c.t, wire.ServiceError, h.c.expect(wire.Error).Header.Status)
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			s, h := streaming(t, wire.Unsized, 1)
			h.w.expect2(h, part{1, wire.More, 5})
			end(h)
			before := total(s.counts[:])
			h.up(1, late...)
			if !h.w.gone {
				h.allowUp(1, 9)
			}
			h.c.silent()
			h.w.silent()
			require.Equal(t, before, total(s.counts[:]), "no fault of anybody")
		})
	}
}

// expect2 has the client send a part that the worker gets.
func (p *peer) expect2(h *session, x part) {
	p.t.Helper()
	h.up(1, x)
	p.expectPart(h, h.epoch, 1, x.no, x.flags, x.n)
}

func TestOpensHaveNoParts(t *testing.T) {
	quote(t, "OPEN and one-shots have no parts.")
	open := wire.Header{Type: wire.Open, Flags: wire.Ref | wire.First | wire.More, Hit: 1}
	require.Error(t, open.Check(3))
	begin := wire.Header{Type: wire.Begin, Flags: wire.First | wire.More, Hit: 1}
	require.Error(t, begin.Check(3))

	s := newTheatre(t, config())
	h := s.begun(s.client(), s.worker("w", 1), 5, oneShot)
	h.begins(1, 10)
	h.w.expectError(wire.BadPart, wire.NeverStarted, "a reply in parts to a one-shot")
	h.w.expect(wire.Cancel)
	m := h.c.expectError(wire.BadPart, wire.Unknown, "worker w sent a reply that is not whole")
	require.True(t, m.Header.Flags.Has(wire.Last|wire.Ref))
	require.Equal(t, h.ref, m.Header.Hit)
	h.w.expect(wire.End) // it has not said last
	h.down(1, part{1, wire.Last, 3})
	require.Equal(t, "over", h.state())
	require.Zero(t, s.used())
	h.c.silent()
}
