package machine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

func TestDraining(t *testing.T) {
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 1)
	h := s.opened(c, w, 1, 0)
	c.open(2)
	s.effects(s.home, s.broker.Drain(s.now, nil))
	require.Equal(t, uint64(2), c.expectError(wire.Draining, wire.NeverStarted, "about to stop", "open at another one").Header.Hit)
	require.Equal(t, machine.Inventory{Clients: 1, Workers: 1, Names: 1, Hits: 1, Listed: 1, Places: 1}, s.broker.Inventory())

	c.open(3)
	c.expectError(wire.Draining, wire.NeverStarted, "open at another one, or later")
	late := s.peer()
	late.ready(wire.ReadyInfo{Name: "late", Services: []string{"echo"}, Slots: 1})
	late.expectError(wire.Draining, wire.NeverStarted, "register with another one")

	require.False(t, s.broker.Drained())
	h.call(1, 0) // the open ones go on
	w.expect(wire.Call)
	h.reply(1, 0)
	c.expect(wire.Reply)
	h.client(wire.Header{Type: wire.Close})
	h.worker(wire.Header{Type: wire.Ended})
	require.True(t, s.broker.Drained())
	require.True(t, s.broker.Status(s.now).Draining)
}

func TestFarewell(t *testing.T) {
	quote(t, "BYE from the broker: it leaves; start again when it is back.")
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 1)
	s.effects(s.home, s.broker.Farewell(nil))
	c.expect(wire.Bye)
	w.expect(wire.Bye)
}
