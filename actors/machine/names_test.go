package machine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// claim has another connection say READY under the name.
func (s *theatre) claim(name string) *peer {
	p := s.peer()
	p.ready(wire.ReadyInfo{Name: name, Services: []string{"echo"}, Slots: 1})
	return p
}

func TestANameInUseIsRefused(t *testing.T) {
	quote(t, "the broker PINGs the old one; if it answers within the ask limit (1 s), the new one gets ERROR `name-taken`")
	s := newTheatre(t, config())
	old := s.worker("w", 1)
	rival := s.claim("w")
	old.expect(wire.Ping)
	rival.silent()
	s.tick(999 * time.Millisecond)
	old.say(wire.Header{Type: wire.Pong})
	rival.expectError(wire.NameTaken, wire.NeverStarted, `named "w"`, "pid 4711 on here", "another name")
	require.Equal(t, 1, s.counts[wire.NameTaken])
	s.tick(time.Second)
	require.False(t, old.gone)
	require.Equal(t, "serving", s.workerRow(t).State)

	rival.ready(wire.ReadyInfo{Name: "w2", Services: []string{"echo"}, Slots: 1}) // the same connection, another name
	rival.expect(wire.Welcome)
}

func TestAWorkerThatKnowsTheBrokerByTwoAddresses(t *testing.T) {
	quote(t, "a peer that finds it under two addresses SHALL keep one connection and report the other.")
	s := newTheatre(t, config())
	info := wire.ReadyInfo{Name: "w", Services: []string{"echo"}, Slots: 1, Incarnation: "abcd", PID: 4711, Host: "here"}
	first, second := s.peer(), s.peer()
	first.ready(info)
	first.expect(wire.Welcome)
	second.ready(info)
	first.expect(wire.Ping)
	first.say(wire.Header{Type: wire.Pong})
	second.expectError(wire.NameTaken, wire.NeverStarted, `this worker, "w" (pid 4711 on here), is registered here already`, "name the broker once")
	require.False(t, first.gone)
}

func TestASilentWorkerIsReplaced(t *testing.T) {
	quote(t, "if it is silent, the new one replaces it and the old one's hits end with `worker-gone`.")
	s := newTheatre(t, config())
	c, old := s.client(), s.worker("w", 2)
	h := s.opened(c, old, 1, 0)
	c.openFor(2, oneShot, 0, "echo", "", "x")
	c.open(3) // waits
	rival := s.claim("w")
	s.tick(time.Second)
	s.run()
	m := c.expect(wire.Closed)
	require.Equal(t, h.handle, m.Header.Hit)
	require.Equal(t, wire.WorkerGone, m.Header.Status)
	require.Contains(t, string(m.Frame(0)), "a new worker claimed the name w, and the old one did not answer a PING within 1s")
	require.Equal(t, "name claimed", why(t, m).Detector)
	c.expectError(wire.WorkerGone, wire.Unknown)
	require.True(t, old.gone)
	rival.expect(wire.Welcome)
	rival.expect(wire.Begin)
	require.Equal(t, machine.Inventory{Clients: 1, Workers: 1, Names: 1, Hits: 1, Listed: 1, Places: 1}, s.broker.Inventory())
}

func TestASecondRival(t *testing.T) {
	quote(t, "Who claims the name meanwhile gets `name-taken`.")
	s := newTheatre(t, config())
	old := s.worker("w", 1)
	first := s.claim("w")
	first.ready(wire.ReadyInfo{Name: "w", Services: []string{"echo"}, Slots: 1}) // insists
	second := s.claim("w")
	second.expectError(wire.NameTaken, wire.NeverStarted)
	first.silent()
	old.expect(wire.Ping)
	old.silent()
	s.tick(time.Second)
	s.run()
	first.expect(wire.Welcome)
	first.silent()
	second.silent()
}

func TestByeIsAnAnswerToTheClaim(t *testing.T) {
	quote(t, "BYE is an answer, too.")
	s := newTheatre(t, config())
	c, old := s.client(), s.worker("w", 1)
	h := s.opened(c, old, 1, 0)
	rival := s.claim("w")
	old.say(wire.Header{Type: wire.Bye})
	rival.expectError(wire.NameTaken, wire.NeverStarted)
	s.tick(time.Minute)
	require.Equal(t, "open", h.state())

	rival.ready(wire.ReadyInfo{Name: "w", Services: []string{"echo"}, Slots: 1})
	require.Equal(t, "asked", s.workerRow(t).State)
	old.say(wire.Header{Type: wire.Pong})
	require.Equal(t, "leaving", s.workerRow(t).State, "as before")
	rival.expectError(wire.NameTaken, wire.NeverStarted)
}

func TestTheOldOneIsLostWhileAsked(t *testing.T) {
	s := newTheatre(t, config())
	c, old := s.client(), s.worker("w", 1)
	s.opened(c, old, 1, 0)
	rival := s.claim("w")
	old.vanish()
	require.Equal(t, wire.WorkerGone, c.expect(wire.Closed).Header.Status)
	rival.expect(wire.Welcome)
	s.tick(time.Minute)
	require.Equal(t, 1, s.broker.Inventory().Workers)
}

func TestTheRivalIsLostWhileTheOldOneIsAsked(t *testing.T) {
	s := newTheatre(t, config())
	old := s.worker("w", 1)
	rival := s.claim("w")
	rival.vanish()
	old.say(wire.Header{Type: wire.Pong})
	require.Equal(t, 1, s.broker.Inventory().Workers)

	rival = s.claim("w")
	rival.vanish()
	s.tick(time.Second)
	s.run()
	require.Zero(t, s.broker.Inventory().Workers, "neither is there")
}

// A claim that reaches the old one's actor when it has just been lost.
func TestAClaimOnAWorkerThatIsGone(t *testing.T) {
	s := newTheatre(t, config())
	old := s.worker("w", 1)
	s.lose(old.link, "disconnected", "x")
	rival := s.peer()
	rival.whisper(wire.Header{Type: wire.Ready}, `{"name":"w","services":["echo"],"slots":1}`)
	s.step(s.home) // the broker asks the old one, whose loss is in its mailbox
	s.run()
	rival.expect(wire.Welcome)
}

// A worker comes back before its old connection is found to be lost. What it says of its slots behind READY counts, though READY has to wait.
func TestWhatAReadyThatWaitsIsFollowedBy(t *testing.T) {
	s := newTheatre(t, config())
	c, old := s.client(), s.worker("w", 3)
	back := s.peer()
	back.ready(wire.ReadyInfo{Name: "w", Services: []string{"echo"}, Slots: 3, SlotsMax: 4, Busy: 3})
	for range 3 {
		back.say(wire.Header{Type: wire.Ended})
	}
	back.say(wire.Header{Type: wire.Ended})
	back.expectError(wire.BadSeq, wire.NeverStarted, "no slot of an earlier connection is busy")
	back.changed(`{"slots":2,"slots_max":2}`)
	back.silent()
	old.vanish()
	back.expect(wire.Welcome)
	require.Equal(t, 2, s.workerRow(t).Slots)
	require.Zero(t, s.used())
	c.open(1)
	c.open(2)
	c.open(3) // waits
	back.expect(wire.Begin)
	back.expect(wire.Begin)
	back.silent()
	back.say(wire.Header{Type: wire.Ended})
	back.expectError(wire.BadSeq, wire.NeverStarted)

	// A refusal ends it: the next READY tells all anew.
	rival := s.peer()
	rival.ready(wire.ReadyInfo{Name: "w", Services: []string{"echo"}, Slots: 1, Busy: 1})
	rival.say(wire.Header{Type: wire.Ended})
	back.say(wire.Header{Type: wire.Pong})
	rival.expectError(wire.NameTaken, wire.NeverStarted)
	rival.ready(wire.ReadyInfo{Name: "w2", Services: []string{"other"}, Slots: 1, Busy: 1})
	rival.expect(wire.Welcome)
	rival.say(wire.Header{Type: wire.Ended})
	rival.silent()
}

// So does BYE: a worker that leaves gets no hits.
func TestAReadyThatWaitsIsFollowedByBye(t *testing.T) {
	s := newTheatre(t, config())
	c, old := s.client(), s.worker("w", 1)
	back := s.claim("w")
	back.say(wire.Header{Type: wire.Bye})
	old.vanish()
	back.expect(wire.Welcome)
	c.open(1)
	back.silent()
	require.Equal(t, "leaving", s.workerRow(t).State)
}
