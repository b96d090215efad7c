package actors_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/supervision"
)

// A hit from its first message to its last, every one of them through the hit's actor.
func TestAHit(t *testing.T) {
	s := newStage(t)
	c, w := s.client(), s.worker("w", "2")
	h := s.begun(c, w, 5, wire.First)
	require.NotNil(t, s.bridge.bound[h.Hit])
	opened := typed(h, wire.Opened, 0)
	opened.Arg = 4712
	w.say(opened)
	c.expect(wire.Opened)
	w.say(typed(h, wire.Reply, 1), "one")
	require.Equal(t, "one", string(c.expect(wire.Reply).Frame(0)))
	c.say(called(h, wire.Call, 2), "two")
	require.Equal(t, "two", string(w.expect(wire.Call).Frame(0)))
	w.say(typed(h, wire.Working, 2), "half")
	c.expect(wire.Working)
	w.say(typed(h, wire.Reply, 2), "2")
	c.expect(wire.Reply)
	c.say(called(h, wire.Close, 0))
	w.expect(wire.End)
	require.Equal(t, 1, s.used())
	w.say(typed(h, wire.Ended, 0))
	c.expect(wire.Closed)
	require.Zero(t, s.used())
	require.Empty(t, s.bridge.bound)
	require.Empty(t, s.bridge.inUse)
	c.silent()
	w.silent()
}

func TestTheTree(t *testing.T) {
	s := newStage(t)
	s.worker("w", "1")
	require.Equal(t, 1, s.children(actors.WorkersChild))
	require.Zero(t, s.children(actors.HitsChild))
	_, err := actors.NewHouse(s.system, actors.Ports{}).Adopt(supervision.Status{})
	require.ErrorContains(t, err, "start it by House.Spec")
}

// The OPEN's bytes are held until its BEGIN is on its way, and not longer.
func TestTheLeaseOfAnOpen(t *testing.T) {
	s := newStage(t)
	c, w := s.client(), s.worker("w", "1")
	c.whisper(wire.Header{Type: wire.Open, Flags: wire.Ref | wire.First, Hit: 1}, "echo", "", "body")
	l := s.bridge.leases[len(s.bridge.leases)-1]
	require.Equal(t, 1, l.holds, "the broker's mailbox")
	s.loop.drain()
	require.Zero(t, l.holds)
	require.Equal(t, 2, l.taken, "by the mailbox, and until begin was handled")
	require.Equal(t, "body", string(w.expect(wire.Begin).Frame(2)))

	c.say(wire.Header{Type: wire.Open, Flags: wire.Ref | wire.First, Hit: 2}, "echo", "", "waits")
	require.Zero(t, s.bridge.leases[len(s.bridge.leases)-1].holds, "what waits has bytes of its own")
	w.say(wire.Header{Type: wire.Ended, Hit: 1 << 24, Epoch: 101})
	require.Equal(t, "waits", string(w.expect(wire.Begin).Frame(2)))
}

func TestTheLeaseOfAnOpenWhoseBeginPanics(t *testing.T) {
	s := newStage(t)
	c, w := s.client(), s.worker("w", "1")
	s.bridge.onSend = func(h wire.Header) {
		if h.Type == wire.Begin {
			panic("a defect of the outbox")
		}
	}
	c.say(wire.Header{Type: wire.Open, Flags: wire.Ref, Hit: 1}, "echo", "")
	require.Zero(t, s.bridge.leases[len(s.bridge.leases)-1].holds)
	m := c.expectError(wire.Internal, wire.NeverStarted)
	require.Contains(t, string(m.Frame(0)), "a defect of the outbox")
	w.expect(wire.Cancel)
	m = w.expect(wire.End)
	require.Equal(t, 1, s.used())
	w.say(typed(m.Header, wire.Ended, 0)) // it knows no such hit, and says so
	require.Zero(t, s.used())
}

func TestUndelivered(t *testing.T) {
	for _, fails := range []struct {
		err    error
		status wire.Status
	}{{wire.ErrPeerSlow, wire.PeerSlow}, {wire.ErrNoPeer, wire.WorkerGone}, {fmt.Errorf("at the gate: %w", wire.ErrPeerSlow), wire.PeerSlow}} {
		s := newStage(t)
		c, w := s.client(), s.worker("w", "2")
		h := s.opened(c, w, 1)
		w.fails = fails.err
		before := s.house.Refused(fails.status)
		c.say(called(h, wire.Call, 1), "x")
		require.Contains(t, string(c.expectError(fails.status, wire.NeverStarted).Frame(0)), fails.err.Error())
		c.say(wire.Header{Type: wire.Open, Flags: wire.Ref, Hit: 2}, "echo", "")
		c.expectError(fails.status, wire.NeverStarted)
		require.Equal(t, before+2, s.house.Refused(fails.status))
		require.Equal(t, 1, s.used())

		w.fails = nil
		c.say(called(h, wire.Call, 1), "x")
		w.expect(wire.Call)
		c.fails = fails.err // the client does not hear the answer; its loss will tell
		w.say(typed(h, wire.Reply, 1), "x")
		c.silent()
		w.silent()
		c.fails = nil
		c.say(called(h, wire.Call, 2), "x")
		w.expect(wire.Call)
	}
}

func TestAWorkerThatCannotBeToldEnd(t *testing.T) {
	s := newStage(t)
	c, w := s.client(), s.worker("w", "1")
	h := s.opened(c, w, 1)
	w.fails = wire.ErrPeerSlow
	c.say(called(h, wire.Close, 0))
	require.True(t, w.gone, "its slot would stay taken for ever")
	require.Equal(t, "window", w.reason)
	m := c.expect(wire.Closed)
	require.Equal(t, wire.WorkerGone, m.Header.Status)
	require.Zero(t, s.children(actors.WorkersChild))

	s = newStage(t)
	c, w = s.client(), s.worker("w", "1")
	h = s.opened(c, w, 1)
	w.fails = wire.ErrNoPeer // its loss is being told
	c.say(called(h, wire.Close, 0))
	require.False(t, w.gone)
}

// Hits of one client and worker end, and their actors serve the next ones; nothing of one reaches the other.
func TestActorsServeOneHitAfterAnother(t *testing.T) {
	s := newStage(t)
	c, w := s.client(), s.worker("w", "1")
	first := s.opened(c, w, 1)
	pid := s.bridge.bound[first.Hit]
	w.whisper(typed(first, wire.Ended, 0))
	c.whisper(called(first, wire.Call, 1), "late")
	c.whisper(called(first, wire.Close, 0))
	c.whisper(wire.Header{Type: wire.Open, Flags: wire.Ref, Hit: 2}, "echo", "")
	s.loop.drain()
	c.expect(wire.Closed)
	c.expectError(wire.UnknownHit, wire.NeverStarted)
	m := w.expect(wire.Begin)
	second := wire.Header{Hit: m.Header.Hit, Epoch: m.Header.Epoch}
	require.Same(t, pid, s.bridge.bound[second.Hit])
	require.Equal(t, wire.UnknownHit, c.expect(wire.Closed).Header.Status)
	w.say(typed(second, wire.Opened, 0))
	c.say(called(first, wire.Call, 1), "very late")
	w.silent()
	w.say(typed(first, wire.Reply, 1), "very late")
	w.expectError(wire.UnknownHit, wire.NeverStarted)
	require.Equal(t, 1, s.children(actors.HitsChild))
}

func TestTimers(t *testing.T) {
	s := newStage(t)
	c, w := s.client(), s.worker("w", "1")
	s.begun(c, w, 1, 0)
	c.say(wire.Header{Type: wire.Open, Flags: wire.Ref, Hit: 2, Arg: 700}, "echo", "")
	s.tick(699 * time.Millisecond)
	c.silent()
	s.tick(time.Millisecond)
	c.expectError(wire.Expired, wire.NeverStarted)

	rival := s.peer()
	rival.ready("w", "1")
	w.expect(wire.Ping)
	s.tick(999 * time.Millisecond)
	rival.silent()
	s.tick(time.Millisecond)
	rival.expect(wire.Welcome)
	require.True(t, w.gone)
	require.Equal(t, "replaced", w.reason)
	c.expectError(wire.WorkerGone, wire.NeverStarted)
	require.Equal(t, 1, s.children(actors.WorkersChild), "the old one was dismissed")
	s.tick(time.Hour)
	rival.silent()
}

func TestAdministerWithinTheProcess(t *testing.T) {
	s := newStage(t)
	c, w := s.client(), s.worker("w", "1")
	h := s.opened(c, w, 1)
	var rows []machine.HitRow
	s.system.Root.Send(s.broker, &actors.Administer{Request: machine.AdminRequest{Cmd: "hit.list"}, Reply: func(answer any) {
		rows = answer.(map[string]any)["hits"].([]machine.HitRow)
	}})
	s.loop.drain()
	require.Len(t, rows, 1)
	require.Equal(t, s.bridge.bound[h.Hit].Id, rows[0].Actor)

	s.system.Root.Send(s.broker, &actors.Administer{Request: machine.AdminRequest{Cmd: "hit.kill", Hit: rows[0].Hit}, Reply: func(any) {}})
	s.loop.drain()
	require.Equal(t, wire.Killed, c.expect(wire.Closed).Header.Status)
	w.expect(wire.Cancel)
	w.expect(wire.End)
}

func TestDrainAndFarewell(t *testing.T) {
	s := newStage(t)
	c, w := s.client(), s.worker("w", "1")
	h := s.opened(c, w, 1)
	done := 0
	for range 2 {
		s.system.Root.Send(s.broker, &actors.Drain{Done: func() { done++ }})
	}
	s.loop.drain()
	require.Zero(t, done)
	c.say(wire.Header{Type: wire.Open, Flags: wire.Ref, Hit: 2}, "echo", "")
	c.expectError(wire.Draining, wire.NeverStarted)
	c.say(called(h, wire.Close, 0))
	w.say(typed(h, wire.Ended, 0))
	require.Equal(t, 2, done, "all who wait are told")
	s.system.Root.Send(s.broker, &actors.Drain{Done: func() { done++ }})
	s.loop.drain()
	require.Equal(t, 3, done, "at once, where no hit is open")

	said := false
	s.system.Root.Send(s.broker, &actors.Farewell{Done: func() { said = true }})
	s.loop.drain()
	require.True(t, said)
	c.expect(wire.Closed)
	c.expect(wire.Bye)
	w.expect(wire.End)
	w.expect(wire.Bye)
}

func TestRefusedOfAnUnknownStatus(t *testing.T) {
	s := newStage(t)
	w := s.worker("w", "1")
	w.say(wire.Header{Type: wire.Error, Status: 999}, "whatever")
	require.Zero(t, s.house.Refused(999))
	w.say(wire.Header{Type: wire.Error, Status: wire.BadFlag}, "whatever")
	require.EqualValues(t, 1, s.house.Refused(wire.BadFlag))
}
