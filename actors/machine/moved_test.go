package machine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// hit.md, section 6: "A broker that drains MAY say MOVED to its peers ...: before it refuses what waits, and to who comes while it drains, to a worker before
// the draining that refuses its READY."
func TestPeersAreToldWhereElseToGo(t *testing.T) {
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 1)
	s.opened(c, w, 1, 0)
	c.open(2) // waits for a slot
	var r machine.DrainReport
	moved := func(m *wire.Message) []string {
		info, err := wire.ParseMoved(m.Frame(0))
		require.NoError(t, err)
		return info.To
	}
	c.say(wire.Header{Type: wire.Admin, Arg: 5}, `{"cmd":"drain","clients_to":["tcp://a:1"],"workers_to":["tcp://b:1","tcp://b:2"]}`)
	require.Equal(t, []string{"tcp://a:1"}, moved(c.expect(wire.Moved)))
	c.expectError(wire.Draining, wire.NeverStarted)
	c.expect(wire.Report)
	require.Equal(t, []string{"tcp://b:1", "tcp://b:2"}, moved(w.expect(wire.Moved)))

	c.admin(`{"cmd":"drain"}`, &r)
	require.Equal(t, 1, r.Hits, "and nobody is told twice: %v", r)
}
