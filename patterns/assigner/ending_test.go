package assigner_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

func TestAWorkerThatWasNeverStarted(t *testing.T) {
	w, err := assigner.NewWorker(assigner.WorkerConfig{Services: services{"echo": {Handler: echo}}, Logger: quiet()})
	require.NoError(t, err)
	require.NoError(t, w.Close(limited(t)))
	require.NoError(t, w.Close(limited(t)))
	require.ErrorContains(t, w.Start(limited(t)), "closed")
	require.ErrorContains(t, w.Serve(limited(t)), "closed")
}

// Wait is for programs that run until something fails: an orderly Close is no failure, whichever part has ended first.
func TestWaitKnowsAnOrderlyEnd(t *testing.T) {
	for range 20 {
		b := startBroker(t)
		w := startWorker(t, b.WorkerEndpoints()[0], services{"echo": {Handler: echo}})
		ended := make(chan error, 2)
		go func() { ended <- b.Wait(context.Background()) }()
		go func() { ended <- w.Wait(context.Background()) }()
		require.NoError(t, w.Close(limited(t)))
		require.NoError(t, b.Close(limited(t)))
		for range 2 {
			require.NoError(t, receive(t, ended, "the end of Wait"))
		}
		require.NoError(t, w.Wait(context.Background()))
		require.NoError(t, b.Wait(context.Background()))
	}
}

// Who closes once more does not wait longer than they want to.
func TestTheSecondCloseHasAContextToo(t *testing.T) {
	b := conduct(t)
	begun, asked, goOn := make(chan struct{}), make(chan struct{}), make(chan struct{})
	w, peer := b.worker(services{"stuck": {Handler: func(ctx context.Context, _ *assigner.Call) ([]byte, error) {
		close(begun)
		<-ctx.Done()
		close(asked)
		<-goOn
		return nil, nil
	}}})
	head := about(wire.Begin, 1)
	head.Flags = wire.First
	b.say(peer, say(head, "stuck", "", "x"))
	receive(t, begun, "the call")
	first := make(chan error, 1)
	go func() { first <- w.Close(limited(t)) }()
	receive(t, asked, "the session to be stopped")
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, w.Close(gone), context.Canceled)
	require.Empty(t, first)
	close(goOn)
	require.NoError(t, receive(t, first, "the first Close"))
	require.NoError(t, w.Close(gone), "it is closed now")
}

func TestABrokerThatWasNeverStarted(t *testing.T) {
	b, err := assigner.NewBroker(assigner.BrokerConfig{Logger: quiet()})
	require.NoError(t, err)
	require.NoError(t, b.Close(limited(t)))
	require.ErrorContains(t, b.Start(limited(t)), "closed")
	require.ErrorContains(t, b.Serve(limited(t)), "closed")
}

// Nothing stays behind when nobody waits for the start: goleak looks.
func TestAStartThatIsGivenUp(t *testing.T) {
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	w, err := assigner.NewWorker(assigner.WorkerConfig{Broker: "tcp://127.0.0.1:1", Services: services{"echo": {Handler: echo}}, Logger: quiet()})
	require.NoError(t, err)
	if err := w.Start(gone); err == nil {
		require.NoError(t, w.Close(limited(t)))
	}
	c, err := assigner.Dial(gone, assigner.ClientConfig{Broker: "tcp://127.0.0.1:1", Logger: quiet()})
	require.Equal(t, err == nil, c != nil, "a client or an error")
	if c != nil {
		require.NoError(t, c.Close(limited(t)))
	}
}
