package machine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

func TestCallsAndAnswersArePassedOn(t *testing.T) {
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 1), 5, 0)
	h.client(wire.Header{Type: wire.Call, Seq: 1, Arg: 250}, "a", "", "b")
	m := h.w.expect(wire.Call)
	require.Equal(t, wire.Header{Type: wire.Call, Hit: h.handle, Epoch: h.epoch, Seq: 1, Arg: 250}, m.Header)
	require.Equal(t, []string{"a", "", "b"}, text(m.Body))

	h.worker(wire.Header{Type: wire.Working, Seq: 1, Arg: 5000}, "half")
	m = h.c.expect(wire.Working)
	require.Equal(t, wire.Header{Type: wire.Working, Hit: h.handle, Epoch: 1, Seq: 1, Arg: 5000}, m.Header)
	require.Equal(t, "half", string(m.Frame(0)))

	h.worker(wire.Header{Type: wire.Reply, Seq: 1}, "x", "y")
	m = h.c.expect(wire.Reply)
	require.Equal(t, wire.Header{Type: wire.Reply, Hit: h.handle, Epoch: 1, Seq: 1}, m.Header)
	require.Equal(t, []string{"x", "y"}, text(m.Body))

	h.call(2, 0)
	h.w.expect(wire.Call)
	h.worker(wire.Header{Type: wire.Error, Status: wire.ServiceError, Seq: 2, Arg: uint32(wire.ReplyLost)}, "too long", "{}")
	m = h.c.expect(wire.Error)
	require.Equal(t, wire.Header{Type: wire.Error, Status: wire.ServiceError, Hit: h.handle, Epoch: 1, Seq: 2, Arg: uint32(wire.ReplyLost)}, m.Header)
	require.Equal(t, []string{"too long", "{}"}, text(m.Body))
	require.Zero(t, total(s.counts[:]), "an error of the service is no refusal")
}

func TestCallsAreNumberedOneByOne(t *testing.T) {
	quote(t, "CALL: seq is one higher than the last one's, or the call is refused (`bad-seq`).")
	quote(t, "Calls may be sent without waiting for replies, up to the broker's limit (`queue-full`).")
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 1), 5, 0)
	h.call(2, 0)
	h.c.expectError(wire.BadSeq, wire.NeverStarted, "1 is next", "number calls one by one")
	for seq := range uint32(4) {
		h.call(seq+1, 0)
		h.w.expect(wire.Call)
	}
	h.call(4, 0)
	h.c.expectError(wire.BadSeq, wire.NeverStarted, "5 is next")
	h.call(5, 0)
	m := h.c.expectError(wire.QueueFull, wire.NeverStarted, "4 calls under way", "limit is 4", "--max-calls", "wait for answers")
	require.Equal(t, uint32(5), m.Header.Seq)

	quote(t, "An ERROR of the broker refuses a call before it reached the worker: the seq is free again.")
	h.reply(1, 0)
	h.c.expect(wire.Reply)
	h.call(5, 0)
	h.w.expect(wire.Call)
	h.c.silent()
	require.Equal(t, 2, s.counts[wire.BadSeq])
	require.Equal(t, 1, s.counts[wire.QueueFull])
}

func TestAnswersInOrder(t *testing.T) {
	quote(t, "Answers (REPLY or ERROR of the worker) leave in the order of the calls, one each; what is not the next answer is refused (`bad-seq`).")
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 1), 5, 0)
	h.call(1, 0)
	h.call(2, 0)
	h.w.expect(wire.Call)
	h.w.expect(wire.Call)
	for _, seq := range []uint32{0, 2, 3} {
		h.reply(seq, 0)
		h.w.expectError(wire.BadSeq, wire.NeverStarted, "answered so far 0, asked so far 2", "answer each call once, in order")
	}
	h.reply(1, 0)
	h.reply(1, 0)
	h.w.expectError(wire.BadSeq, wire.NeverStarted, "answered so far 1")
	h.worker(wire.Header{Type: wire.Error, Seq: 1, Status: wire.ServiceError}, "again")
	h.w.silent() // an ERROR is never answered by an ERROR
	h.reply(2, 0)
	h.reply(3, 0)
	h.w.expectError(wire.BadSeq, wire.NeverStarted, "answered so far 2, asked so far 2")
	require.Equal(t, uint32(1), h.c.expect(wire.Reply).Header.Seq)
	require.Equal(t, uint32(2), h.c.expect(wire.Reply).Header.Seq)
	h.c.silent()
	require.Equal(t, 6, s.counts[wire.BadSeq])
}

func TestAnErrorIsNeverAnswered(t *testing.T) {
	quote(t, "An ERROR is never answered by an ERROR.")
	quote(t, "An ERROR of the worker without a seq answers no call.")
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 1), 5, 0)
	h.call(1, 0)
	h.w.expect(wire.Call)
	h.worker(wire.Header{Type: wire.Error, Status: wire.BadFlag}, "a complaint")
	h.client(wire.Header{Type: wire.Error, Status: wire.BadFrame}, "a complaint")
	h.c.say(wire.Header{Type: wire.Error, Status: wire.BadFrame}, "about nothing")
	h.w.say(wire.Header{Type: wire.Error, Status: wire.BadFrame}, "about nothing")
	h.w.say(wire.Header{Type: wire.Error, Status: wire.BadFrame, Hit: 4711, Seq: 9}, "about a hit that is over")
	h.c.silent()
	h.w.silent()
	require.Equal(t, 1, s.counts[wire.BadFlag])
	require.Equal(t, 1, s.counts[wire.NotOwner], "a client does not speak for the worker")
	require.Equal(t, 3, s.counts[wire.BadFrame])
	require.Equal(t, "open", h.state())
}

func TestWorkingOfWhatDoesNotRunIsLeftOut(t *testing.T) {
	quote(t, "WORKING is sent by the thread that runs the hit, any number of times before the answer.")
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 1), 5, 0)
	h.call(1, 0)
	h.reply(1, 0)
	h.c.expect(wire.Reply)
	for _, seq := range []uint32{0, 1, 2} {
		h.worker(wire.Header{Type: wire.Working, Seq: seq})
	}
	h.c.silent()

	first := s.begun(h.c, s.worker("v", 1), 6, wire.First)
	first.worker(wire.Header{Type: wire.Working, Seq: 1})
	h.c.silent() // it does not know the handle yet
}

func TestStaleEpochs(t *testing.T) {
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 1), 5, 0)
	h.c.say(wire.Header{Type: wire.Call, Hit: h.handle, Epoch: 2, Seq: 1}, "x")
	h.c.expectError(wire.StaleEpoch, wire.NeverStarted, "under epoch 2", "take the epoch from OPENED")
	h.call(1, 0)
	h.w.expect(wire.Call)
	h.w.say(wire.Header{Type: wire.Reply, Hit: h.handle, Epoch: h.epoch - 1, Seq: 1}, "x")
	h.w.expectError(wire.StaleEpoch, wire.NeverStarted, "take the epoch from BEGIN")
	h.w.say(wire.Header{Type: wire.Ended, Hit: h.handle, Epoch: h.epoch - 1})
	h.w.expectError(wire.StaleEpoch, wire.NeverStarted)
	h.c.silent()
	require.Equal(t, 3, s.counts[wire.StaleEpoch])
	require.Equal(t, "open", h.state())
}

func TestAForeignHandle(t *testing.T) {
	quote(t, "a message is obeyed only from the connection that owns the hit (`not-owner`)")
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 1), 5, 0)
	thief, rival := s.client(), s.worker("rival", 1)
	for _, typ := range []wire.Type{wire.Cancel, wire.Close} {
		thief.say(wire.Header{Type: typ, Hit: h.handle, Epoch: 1})
		thief.expectError(wire.NotOwner, wire.NeverStarted, "belongs to another connection", "only where OPENED brought it")
	}
	thief.say(wire.Header{Type: wire.Call, Hit: h.handle, Epoch: 1, Seq: 1}, "x")
	thief.expectError(wire.NotOwner, wire.NeverStarted)
	rival.say(wire.Header{Type: wire.Reply, Hit: h.handle, Epoch: h.epoch, Seq: 1}, "x")
	rival.expectError(wire.NotOwner, wire.NeverStarted, "only where BEGIN brought it")
	rival.say(wire.Header{Type: wire.Ended, Hit: h.handle, Epoch: h.epoch})
	rival.expectError(wire.NotOwner, wire.NeverStarted)
	h.c.silent()
	h.w.silent()
	require.Equal(t, 5, s.counts[wire.NotOwner])
}

func TestTypesThatNameNoHit(t *testing.T) {
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 1), 5, 0)
	x := s.broker.AllHits()[0]
	for _, from := range []*peer{h.c, h.w} {
		m := wire.NewMessage(wire.Header{Type: wire.Pong, Hit: h.handle, Epoch: 1})
		m.From = from.ref
		s.effects(s.find(h.handle), x.Message(s.now, m, nil))
		from.expectError(wire.BadType, wire.NeverStarted, "PONG does not name a hit", "leave its hit field zero")
	}
	h.w.say(wire.Header{Type: wire.Bye}) // what a worker says in its own name
	h.w.silent()
	for _, typ := range []wire.Type{wire.Report, wire.End} {
		m := wire.NewMessage(wire.Header{Type: typ})
		m.From = h.c.ref
		s.effects(s.home, s.broker.Message(s.now, m, nil))
		h.c.expectError(wire.BadType, wire.NeverStarted, typ.String(), "not for a broker")
		m.From = h.w.ref
		s.effects(s.home, h.of().Message(s.now, m, nil))
		h.w.expectError(wire.BadType, wire.NeverStarted, typ.String(), "not for workers")
	}
	require.Equal(t, 6, s.counts[wire.BadType])
}

func TestCancel(t *testing.T) {
	quote(t, "CANCEL names a seq, or 0 for all")
	quote(t, "It is idempotent, and a CANCEL for what is over is ignored.")
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 1), 5, 0)
	h.call(1, 0)
	h.call(2, 0)
	h.w.expect(wire.Call)
	h.w.expect(wire.Call)
	h.reply(1, 0)
	for _, seq := range []uint32{2, 2, 0} {
		h.client(wire.Header{Type: wire.Cancel, Seq: seq})
		m := h.w.expect(wire.Cancel)
		require.Equal(t, wire.Header{Type: wire.Cancel, Hit: h.handle, Epoch: h.epoch, Seq: seq}, m.Header)
	}
	h.client(wire.Header{Type: wire.Cancel, Seq: 1})
	h.w.silent() // it has been answered
	h.client(wire.Header{Type: wire.Cancel, Seq: 3})
	h.w.silent() // it has been refused, and the next call will have its seq
}

func TestACallThatTheWorkerCannotBeToldOf(t *testing.T) {
	quote(t, "A hit or a call that the worker cannot be told of never started: `worker-gone`, or `peer-slow` if it does not read.")
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 1), 5, 0)
	h.w.slow = true
	h.call(1, wire.Last)
	m := h.c.expectError(wire.PeerSlow, wire.NeverStarted, "worker w", "call 1", wire.ErrPeerSlow.Error(), "send less at once")
	require.Equal(t, uint32(1), m.Header.Seq)
	h.w.slow = false
	h.call(1, 0) // the seq is free again, and nothing was the last call
	h.w.expect(wire.Call)
	h.call(2, 0)
	h.w.expect(wire.Call)

	h.w.lose(h.w.link, "disconnected", "gone")
	h.c.whisper(wire.Header{Type: wire.Call, Hit: h.handle, Epoch: 1, Seq: 3}, "x")
	for s.step(s.find(h.handle)) {
	}
	h.c.expectError(wire.WorkerGone, wire.NeverStarted, "call 3", wire.ErrNoPeer.Error(), "open another one")
	s.run()
	require.Equal(t, uint32(2), h.c.expect(wire.Closed).Header.Arg, "calls 1 and 2 may have run")
}
