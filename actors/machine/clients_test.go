package machine_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

func TestWelcomeOfAClient(t *testing.T) {
	quote(t, "A HELLO from a client that is registered changes nothing and is answered by WELCOME.")
	s := newTheatre(t, config())
	c := s.peer()
	c.say(wire.Header{Type: wire.Hello}, `{"name":"ann","window":65536}`)
	c.say(wire.Header{Type: wire.Hello}, `{"name":"eve","window":20000}`)
	for range 2 {
		var got wire.WelcomeInfo
		require.NoError(t, json.Unmarshal(c.expect(wire.Welcome).Frame(0), &got))
		require.Equal(t, wire.WelcomeInfo{Broker: "broker", Incarnation: "00c0ffee00c0ffee", MaxBody: 1 << 20, Window: 65536, HeartbeatMS: 1000, Name: "ann", MaxResumeMS: 60000}, got)
	}
	require.Equal(t, 1, s.broker.Status(s.now).Clients)
}

func TestByeOfAClient(t *testing.T) {
	quote(t, "BYE from a client: all its hits are closed, and nobody is told; it opens no more until it says HELLO again.")
	s := newTheatre(t, config())
	c, other, w := s.client(), s.client(), s.worker("w", 2)
	h := s.opened(c, w, 1, 0)
	stays := s.opened(other, w, 1, 0)
	c.open(2)
	other.open(2)
	c.say(wire.Header{Type: wire.Bye})
	require.Equal(t, h.handle, w.expect(wire.Cancel).Header.Hit)
	require.Equal(t, h.handle, w.expect(wire.End).Header.Hit)
	require.Len(t, s.broker.Waiting("echo"), 1, "what the other one asked for")
	h.worker(wire.Header{Type: wire.Ended})
	c.silent()
	w.expect(wire.Begin) // of the other one
	require.Equal(t, "open", stays.state())

	c.open(3)
	c.expectError(wire.NotRegistered, wire.NeverStarted, "said BYE", "say HELLO first")
	h.client(wire.Header{Type: wire.Close})
	require.Equal(t, wire.UnknownHit, c.expect(wire.Closed).Header.Status)
	c.say(wire.Header{Type: wire.Hello}, `{"window":20000}`)
	require.Contains(t, string(c.expect(wire.Welcome).Frame(0)), "4194304", "bytes have been counted against the window")
	c.open(3)
	c.silent()
	require.Len(t, s.broker.Waiting("echo"), 1)
	c.vanish()
	require.Empty(t, s.broker.Waiting("echo"))
	require.Equal(t, 1, s.broker.Status(s.now).Clients)
}

func TestALostClientLeavesTheQueues(t *testing.T) {
	s := newTheatre(t, config())
	w := s.worker("w", 1)
	s.opened(s.client(), w, 1, 0)
	gone, stays := s.client(), s.client()
	gone.open(1)
	stays.open(1)
	gone.open(2)
	gone.vanish()
	require.Equal(t, machine.Inventory{Clients: 2, Workers: 1, Names: 1, Hits: 1, Listed: 1, Queued: 1, Deadlines: 1, Places: 3}, s.broker.Inventory())
	w.silent()
}

func TestAWaitingOpenIsCancelledByItsReference(t *testing.T) {
	quote(t, "CANCEL and CLOSE by reference have no answer of their own: it is the answer to the OPEN.")
	for _, typ := range []wire.Type{wire.Cancel, wire.Close} {
		s := newTheatre(t, config())
		c, other, w := s.client(), s.client(), s.worker("w", 1)
		s.opened(c, w, 9, 0)
		c.open(1)
		other.open(1)
		c.open(1) // the reference twice: the later one is meant
		c.say(wire.Header{Type: typ, Flags: wire.Ref, Hit: 1})
		c.expectError(wire.Cancelled, wire.NeverStarted, "while it waited for a slot")
		c.silent()
		left := s.broker.Waiting("echo")
		require.Len(t, left, 2)
		require.Equal(t, c.ref, left[0].From)
		c.say(wire.Header{Type: typ, Flags: wire.Ref, Hit: 8})
		c.silent()
		require.Len(t, s.broker.Waiting("echo"), 2)
		other.silent()
	}
}
