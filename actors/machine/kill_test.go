package machine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// kill has an operator end a hit.
func (s *theatre) kill(handle uint64) {
	_, fx := s.broker.Administer(s.now, machine.AdminRequest{Cmd: "hit.kill", Hit: fmt.Sprintf("%x", handle), By: "ann, at the console"}, nil)
	s.effects(s.home, fx)
	s.run()
}

func TestKill(t *testing.T) {
	quote(t, "A hit that an operator ends (`killed`), or whose actor at the broker crashes (`internal`), is over for its client at once. The worker gets CANCEL for all calls and END, and its slot is taken until it has ended the session.")
	s, h := running(t)
	s.tick(2 * time.Second)
	s.kill(h.handle)
	m := h.c.expect(wire.Closed)
	require.Equal(t, wire.Header{Type: wire.Closed, Status: wire.Killed, Hit: h.handle, Epoch: 1, Arg: 3}, m.Header)
	require.Equal(t, "an operator ended the hit after 2s: ann, at the console: open another one if that was not meant", string(m.Frame(0)))
	require.Equal(t, "KILLED", why(t, m).Verdict)
	require.Equal(t, 1, s.counts[wire.Killed])
	h.w.expect(wire.Cancel)
	h.w.expect(wire.End)
	require.Equal(t, 1, s.used())

	// What the client says before it has heard is no offence.
	h.client(wire.Header{Type: wire.Cancel})
	h.c.silent()
	h.call(4, 0)
	h.c.expectError(wire.UnknownHit, wire.NeverStarted)
	h.client(wire.Header{Type: wire.Close})
	require.Equal(t, wire.UnknownHit, h.c.expect(wire.Closed).Header.Status)

	s.kill(h.handle) // twice does no harm
	h.c.silent()
	h.worker(wire.Header{Type: wire.Ended, Arg: 2})
	h.c.silent()
	require.Zero(t, s.used())
	require.EqualValues(t, 1, s.broker.Status(s.now).Totals.Failed)
}

func TestKillWhileOpening(t *testing.T) {
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 2)
	s.kill(s.begun(c, w, 1, 0).handle)
	c.expectError(wire.Killed, wire.NeverStarted)
	s.kill(s.begunBehind(c, w, 2, wire.First).handle)
	c.expectError(wire.Killed, wire.Unknown)
}

// begunBehind is begun where the worker has not read all before.
func (s *theatre) begunBehind(c, w *peer, ref uint64, flags wire.Flags) *session {
	w.inbox = nil
	return s.begun(c, w, ref, flags)
}
