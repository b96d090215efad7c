package actors_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/supervision"
)

func TestACrashFailsExactlyThatHit(t *testing.T) {
	s := newStage(t)
	c, w := s.client(), s.worker("w", "3")
	a, b, d := s.opened(c, w, 1), s.opened(c, w, 2), s.opened(c, w, 3)
	c.say(called(b, wire.Call, 1), "x")
	w.expect(wire.Call)
	s.fault(s.bridge.bound[b.Hit])
	m := c.expect(wire.Closed)
	require.Equal(t, b.Hit, m.Header.Hit)
	require.Equal(t, wire.Internal, m.Header.Status)
	require.Equal(t, uint32(1), m.Header.Arg)
	require.Contains(t, string(m.Frame(0)), "a test's fault")
	require.Nil(t, s.bridge.bound[b.Hit])
	require.Equal(t, 2, s.children(actors.HitsChild))
	w.expect(wire.Cancel)
	w.expect(wire.End)
	for _, h := range []wire.Header{a, d} {
		c.say(called(h, wire.Call, 1), "x")
		w.expect(wire.Call)
		w.say(typed(h, wire.Reply, 1), "y")
		c.expect(wire.Reply)
	}
	require.Equal(t, 3, s.used(), "the session is still at the worker")
	c.say(called(b, wire.Call, 2), "x")
	c.expectError(wire.UnknownHit, wire.NeverStarted)
	w.say(typed(b, wire.Ended, 0))
	require.Equal(t, 2, s.used())
	require.EqualValues(t, 1, s.status().Totals.Crashed)
	require.Len(t, s.bridge.inUse, 2)
}

func TestTheLastReplyOfACrashedOneShot(t *testing.T) {
	s := newStage(t)
	c, w := s.client(), s.worker("w", "1")
	h := s.begun(c, w, 1, wire.First|wire.Last)
	s.fault(s.bridge.bound[h.Hit])
	c.expectError(wire.Internal, wire.Unknown)
	w.expect(wire.Cancel)
	w.expect(wire.End)
	reply := typed(h, wire.Reply, 1)
	reply.Flags = wire.Last
	w.say(reply, "too late")
	w.expectError(wire.UnknownHit, wire.NeverStarted)
	c.silent()
	require.Zero(t, s.used())
	require.Empty(t, s.bridge.inUse)
}

func TestTheWorkerIsLostAfterACrash(t *testing.T) {
	s := newStage(t)
	c, w := s.client(), s.worker("w", "1")
	h := s.opened(c, w, 1)
	s.fault(s.bridge.bound[h.Hit])
	s.bridge.lose(w.connection, "disconnected", "x")
	s.loop.drain()
	require.Equal(t, wire.Internal, c.expect(wire.Closed).Header.Status)
	c.silent()
	require.Empty(t, s.bridge.inUse)
}

// What lies in the mailbox of a hit when it crashes is not lost: it goes to those who hear of hits that are over.
func TestTheMailboxOfACrashedHit(t *testing.T) {
	s := newStage(t)
	c, w := s.client(), s.worker("w", "1")
	h := s.opened(c, w, 1)
	s.system.Root.Send(s.bridge.bound[h.Hit], actors.Fault{Text: "a test's fault"})
	c.whisper(called(h, wire.Call, 1), "never handled")
	w.whisper(typed(h, wire.Ended, 0))
	c.whisper(called(h, wire.Close, 0))
	held := s.bridge.leases[len(s.bridge.leases)-3:]
	s.loop.drain()
	c.expectError(wire.UnknownHit, wire.NeverStarted)
	m := c.expect(wire.Closed)
	require.Equal(t, wire.Internal, m.Header.Status)
	c.silent()
	require.Zero(t, s.used(), "ENDED was heard")
	for _, l := range held {
		require.Zero(t, l.holds)
	}
}

func TestACrashedWorkerActor(t *testing.T) {
	s := newStage(t)
	c, w, other := s.client(), s.worker("w", "1"), s.worker("other", "1")
	h := s.opened(c, w, 1)
	kept := s.opened(c, other, 2)
	s.fault(w.pid)
	require.Equal(t, wire.WorkerGone, c.expect(wire.Closed).Header.Status)
	require.Equal(t, "crashed", w.reason, "it is disconnected, and may register again")
	require.Equal(t, 1, s.children(actors.WorkersChild))
	require.Nil(t, s.bridge.bound[h.Hit])
	c.say(called(kept, wire.Call, 1), "x")
	other.expect(wire.Call)
	s.worker("w", "1")
	require.Equal(t, 2, s.status().Workers)
}

// A rival waits for the answer of a worker whose actor crashes.
func TestARivalOfACrashedWorkerActor(t *testing.T) {
	s := newStage(t)
	w, rival := s.worker("w", "1"), s.peer()
	rival.ready("w", "1")
	w.expect(wire.Ping)
	s.fault(w.pid)
	rival.expect(wire.Welcome)
}

func TestACrashedBrokerActorEndsTheTree(t *testing.T) {
	s := newStage(t)
	c, w := s.client(), s.worker("w", "1")
	s.opened(c, w, 1)
	s.fault(s.broker)
	<-s.tree.Done()
	require.ErrorContains(t, s.tree.Err(), "a test's fault")
	var exceeded supervision.IntensityExceeded
	require.ErrorAs(t, s.tree.Err(), &exceeded)
	require.Equal(t, actors.BrokerChild, exceeded.ID)
}

// The client closes by its reference when the hit's actor has not had its first turn: the event goes round, with bytes of its own.
func TestAHitThatIsNotUpYet(t *testing.T) {
	s := newStage(t)
	c, w := s.client(), s.worker("w", "1")
	c.whisper(wire.Header{Type: wire.Open, Flags: wire.Ref, Hit: 1}, "echo", "")
	c.whisper(wire.Header{Type: wire.Close, Flags: wire.Ref, Hit: 1})
	held := s.bridge.leases[len(s.bridge.leases)-1]
	s.loop.drain()
	m := w.expect(wire.Begin)
	w.expect(wire.Cancel)
	w.expect(wire.End)
	require.Zero(t, held.holds)
	w.say(typed(m.Header, wire.Ended, 0))
	c.expectError(wire.Cancelled, wire.NeverStarted)

	c.whisper(wire.Header{Type: wire.Open, Flags: wire.Ref | wire.First, Hit: 2}, "echo", "", "x")
	s.bridge.lose(c.connection, "disconnected", "x")
	s.loop.drain()
	m = w.expect(wire.Begin)
	w.expect(wire.Cancel)
	w.expect(wire.End)
	w.say(typed(m.Header, wire.Ended, 0))
	require.Zero(t, s.used())
}

// What a worker says behind READY reaches its actor when that is up.
func TestAWorkerThatIsNotUpYet(t *testing.T) {
	s := newStage(t)
	c, w, rival := s.client(), s.peer(), s.peer()
	w.whisper(wire.Header{Type: wire.Ready}, `{"name":"w","services":["echo"],"slots":1,"busy":1}`)
	w.whisper(wire.Header{Type: wire.Ended}, "one of an earlier connection")
	w.whisper(wire.Header{Type: wire.Error, Hit: 77, Status: wire.BadFlag}, "a complaint")
	rival.whisper(wire.Header{Type: wire.Ready}, `{"name":"w","services":["echo"],"slots":1}`)
	s.loop.drain()
	w.expect(wire.Welcome)
	w.expect(wire.Ping)
	require.EqualValues(t, 1, s.house.Refused(wire.BadFlag))
	require.Zero(t, s.used())
	c.say(wire.Header{Type: wire.Open, Flags: wire.Ref, Hit: 1}, "echo", "")
	w.expect(wire.Begin)
	w.say(wire.Header{Type: wire.Pong})
	rival.expectError(wire.NameTaken, wire.NeverStarted)

	gone := s.peer()
	gone.whisper(wire.Header{Type: wire.Ready}, `{"name":"gone","services":["echo"],"slots":1}`)
	s.bridge.lose(gone.connection, "disconnected", "at once")
	s.loop.drain()
	require.Equal(t, 1, s.children(actors.WorkersChild), "it is dismissed when it hears that its peer was gone before it was there")
	require.Equal(t, 1, s.status().Workers)
}

// Two workers claim one name, and the old one is lost, all in one batch.
func TestADismissedWorkerLeavesNoActor(t *testing.T) {
	s := newStage(t)
	w, rival := s.worker("w", "1"), s.peer()
	rival.ready("w", "1")
	s.bridge.lose(w.connection, "disconnected", "x")
	s.loop.drain()
	rival.expect(wire.Welcome)
	require.Equal(t, 1, s.children(actors.WorkersChild))
	s.bridge.lose(rival.connection, "disconnected", "x")
	s.loop.drain()
	require.Zero(t, s.children(actors.WorkersChild))
	for _, timer := range s.bridge.timers {
		require.Zero(t, timer.at, "a timer is left running")
	}
}

func TestMoreActorsThanMayRest(t *testing.T) {
	s := newStage(t)
	c, w := s.client(), s.worker("w", "1100")
	var hits []wire.Header
	for ref := range uint64(1100) {
		hits = append(hits, s.begun(c, w, ref, 0))
	}
	require.Equal(t, 1100, s.children(actors.HitsChild))
	for _, h := range hits {
		w.say(typed(h, wire.Ended, 0))
	}
	require.Equal(t, 1024, s.children(actors.HitsChild))
	require.Empty(t, s.bridge.inUse)
	s.begun(c, w, 1, 0)
	require.Equal(t, 1024, s.children(actors.HitsChild))
}
