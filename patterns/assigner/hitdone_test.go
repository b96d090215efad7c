package assigner_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

func TestAHitTellsThatItIsOver(t *testing.T) {
	c := conduct(t)
	cl, peer := c.client()
	h := c.open(cl)
	early := h.Done()
	select {
	case <-early:
		require.Fail(t, "it is open")
	default:
	}
	require.NoError(t, h.Err())
	c.say(peer, say(wire.Header{Type: wire.Closed, Status: wire.Killed, Hit: 77, Epoch: 3}, "an operator ended it"))
	receive(t, early, "the end of the hit")
	receive(t, h.Done(), "the end again")
	requireError(t, h.Err(), assigner.ErrKilled, assigner.NeverStarted)
	require.ErrorContains(t, h.Err(), "an operator ended it")

	h = c.open(cl)
	closed := make(chan error, 1)
	go func() { closed <- h.Close(limited(t)) }()
	receive(t, h.Done(), "no call to be possible any more")
	requireError(t, h.Err(), assigner.ErrClosed, assigner.NeverStarted)
	c.hear(wire.Close)
	c.say(peer, say(wire.Header{Type: wire.Closed, Hit: 77, Epoch: 3}, "closed"))
	require.NoError(t, receive(t, closed, "Close"))
	requireError(t, h.Err(), assigner.ErrClosed, assigner.NeverStarted)
}

func TestWhatATicketIsAbout(t *testing.T) {
	for _, bad := range []string{"", "hello", "troupe-ticket:1:x:y", "troupe-ticket:2:a:b"} {
		about, err := assigner.AboutTicket(bad)
		require.True(t, errors.Is(err, assigner.ErrBadTicket), bad)
		require.Zero(t, about)
	}
}
