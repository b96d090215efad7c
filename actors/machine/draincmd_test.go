package machine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

func TestAWorkerIsDrainedByCommand(t *testing.T) {
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 2)
	h := s.opened(c, w, 1, 0)
	var r struct {
		Draining string
		Hits     int
		Error    string
	}
	for range 2 { // asked again it tells how far it has come
		c.admin(`{"cmd":"drain","about":"w"}`, &r)
		require.Equal(t, []any{"w", 1}, []any{r.Draining, r.Hits})
	}
	h.call(1, wire.Last)
	w.expect(wire.Call)
	h.reply(1, wire.Last)
	c.expect(wire.Reply)
	c.openFor(2, wire.Now, 0)
	c.expectError(wire.QueueFull, wire.NeverStarted)
	other := s.worker("other", 1)
	s.opened(c, other, 3, 0)
	c.admin(`{"cmd":"drain","about":"nobody"}`, &r)
	require.Contains(t, r.Error, `no worker is named "nobody"`)
	r.Error = ""
	c.admin(`{"cmd":"drain"}`, &r)
	require.Equal(t, "broker", r.Draining)
	c.open(4)
	c.expectError(wire.Draining, wire.NeverStarted)
}
