package assigner_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

// A call ends with the outcome that is said; one that this library does not know may mean anything.
func TestTheOutcomeThatIsSaid(t *testing.T) {
	c := conduct(t)
	cl, peer := c.client()
	h := c.open(cl)
	for arg, want := range []assigner.Outcome{assigner.Finished, assigner.NeverStarted, assigner.Unknown, assigner.ReplyLost, assigner.Unknown, assigner.Unknown} {
		failed := make(chan error, 1)
		go func() {
			_, err := h.Call(limited(t), []byte("x"))
			failed <- err
		}()
		m := c.hear(wire.Call)
		require.EqualValues(t, arg+1, m.Header.Seq, "no status of a worker gives a seq back")
		c.say(peer, say(wire.Header{Type: wire.Error, Status: wire.ServiceError, Hit: 77, Epoch: 3, Seq: m.Header.Seq, Arg: uint32(arg)}, "no"))
		requireError(t, receive(t, failed, "the call's end"), assigner.ErrService, want)
	}
}

// A Close that is given up is an *Error as all others are.
func TestACloseThatIsGivenUp(t *testing.T) {
	c := conduct(t)
	cl, _ := c.client()
	h := c.open(cl)
	late, cancel := context.WithTimeout(limited(t), time.Millisecond)
	defer cancel()
	err := h.Close(late)
	requireError(t, err, assigner.ErrExpired, assigner.Unknown)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "echo, hit 4d: expired (outcome unknown): the worker has not closed the session yet")
	requireError(t, h.Close(expired(t)), assigner.ErrCancelled, assigner.Unknown)
}

// A reply in parts that does not fit into memory as one body is given up: nobody knows how far its service came.
func TestAReplyInPartsThatIsTooLargeToBeTakenWhole(t *testing.T) {
	b, err := assigner.NewBroker(assigner.BrokerConfig{
		Clients: []string{"tcp://127.0.0.1:0"}, Workers: []string{"tcp://127.0.0.1:0"}, Logger: quiet(), Poison: true, MaxBody: 1 << 10,
	})
	require.NoError(t, err)
	require.NoError(t, b.Start(limited(t)))
	t.Cleanup(func() { require.NoError(t, b.Close(context.Background())) })
	startWorker(t, b.WorkerEndpoints()[0], services{"source": {Handler: func(_ context.Context, c *assigner.Call) ([]byte, error) {
		out, err := c.Output(-1)
		if err != nil {
			return nil, err
		}
		for range 64 {
			if _, err := out.Write(make([]byte, 1<<10)); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}}})
	ctx, cancel := context.WithTimeout(limited(t), time.Minute)
	defer cancel()
	h, err := dial(t, b.ClientEndpoints()[0]).Open(ctx, "source")
	require.NoError(t, err)
	_, err = h.Call(ctx, nil)
	requireError(t, err, assigner.ErrTooLarge, assigner.Unknown)
	require.ErrorContains(t, err, "use Stream")
}
