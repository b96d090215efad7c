package machine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// A client that has said BYE may go, though its sessions have not ended yet; one that says nothing is GONE.
func TestWhoHasSaidByeIsNotGone(t *testing.T) {
	s := judging(t)
	c, w := s.client(), s.worker("w", 2)
	s.opened(c, w, 1, 0)
	c.say(wire.Header{Type: wire.Bye})
	w.expect(wire.Cancel)
	w.expect(wire.End)
	c.vanish()
	w.expect(wire.Cancel)
	require.Empty(t, s.whys(""))

	other := s.client()
	s.opened(other, w, 1, 0)
	other.vanish()
	require.Equal(t, "GONE", s.whys("")[0].Verdict)
}
