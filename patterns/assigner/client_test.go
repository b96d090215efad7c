package assigner_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

// client starts a client and registers it.
func (c *conductor) client() (*assigner.Client, wire.Peer) {
	c.t.Helper()
	cl := dial(c.t, c.endpoint)
	m := c.hear(wire.Hello)
	c.say(m.From, welcome("one"))
	require.NoError(c.t, cl.Ready(limited(c.t)))
	return cl, m.From
}

// open opens a hit of the client, with handle 77 and epoch 3.
func (c *conductor) open(cl *assigner.Client) *assigner.Hit {
	c.t.Helper()
	opened := make(chan *assigner.Hit, 1)
	go func() {
		h, err := cl.Open(limited(c.t), "echo")
		if err == nil {
			opened <- h
		}
	}()
	m := c.hear(wire.Open)
	c.say(m.From, say(wire.Header{Type: wire.Opened, Flags: wire.Ref, Hit: m.Header.Hit, Epoch: 3}, "\x00\x00\x00\x00\x00\x00\x00\x4d", "w"))
	return receive(c.t, opened, "the hit")
}

func requireError(t testing.TB, err, kind error, outcome assigner.Outcome) {
	t.Helper()
	var e *assigner.Error
	require.ErrorAs(t, err, &e)
	require.ErrorIs(t, err, kind)
	require.Equal(t, outcome, e.Outcome, "%v", err)
}

func TestClosingAHitTwice(t *testing.T) {
	b := startBroker(t)
	startWorker(t, b.WorkerEndpoints()[0], services{"echo": {Handler: echo}})
	c, ctx := dial(t, b.ClientEndpoints()[0]), limited(t)
	h, err := c.Open(ctx, "echo")
	require.NoError(t, err)
	closed := make(chan error, 3)
	for range cap(closed) {
		go func() { closed <- h.Close(ctx) }()
	}
	for range cap(closed) {
		require.NoError(t, receive(t, closed, "the hit to be closed"))
	}
	require.NoError(t, h.Close(ctx), "it was ended by Close")
	_, err = h.Call(ctx, nil)
	requireError(t, err, assigner.ErrClosed, assigner.NeverStarted)
}

// A context that has ended starts nothing, whatever is asked for.
func TestAContextThatHasEnded(t *testing.T) {
	b := conduct(t)
	c, peer := b.client()
	h := b.open(c)
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for range 20 {
		_, err := c.Do(gone, "echo", nil)
		requireError(t, err, assigner.ErrCancelled, assigner.NeverStarted)
		_, err = c.Open(gone, "echo")
		requireError(t, err, assigner.ErrCancelled, assigner.NeverStarted)
		_, err = h.Call(gone, nil)
		requireError(t, err, assigner.ErrCancelled, assigner.NeverStarted)
		_, err = c.Admin(gone, nil)
		requireError(t, err, assigner.ErrCancelled, assigner.NeverStarted)
	}
	require.Empty(t, b.settle(peer, 1))
}

// Who gives up an open knows that nothing ran; with a call in it, it may have.
func TestTheOutcomeOfAnOpenThatIsGivenUp(t *testing.T) {
	b := conduct(t)
	c, _ := b.client()
	ended := make(chan error, 1)
	ctx, giveUp := context.WithCancel(limited(t))
	go func() { _, err := c.Open(ctx, "echo"); ended <- err }()
	ref := b.hear(wire.Open).Header.Hit
	giveUp()
	requireError(t, receive(t, ended, "the open"), assigner.ErrCancelled, assigner.NeverStarted)
	require.Equal(t, wire.Header{Type: wire.Close, Flags: wire.Ref, Hit: ref}, b.hear(wire.Close).Header)
	ctx, giveUp = context.WithCancel(limited(t))
	go func() { _, err := c.Do(ctx, "echo", nil); ended <- err }()
	b.hear(wire.Open)
	giveUp()
	requireError(t, receive(t, ended, "the call"), assigner.ErrCancelled, assigner.Unknown)
	b.hear(wire.Close)
	ctx, giveUp = context.WithCancel(limited(t))
	go func() { _, err := c.Admin(ctx, nil); ended <- err }()
	peer := b.hear(wire.Admin).From
	giveUp()
	requireError(t, receive(t, ended, "the request"), assigner.ErrCancelled, assigner.Unknown)
	require.Empty(t, b.settle(peer, 1), "an ADMIN cannot be taken back")
}

// Opens and calls race against Close, with contexts that never end: all end, with an answer or a typed error.
func TestCloseEndsEverything(t *testing.T) {
	b := startBroker(t)
	startWorker(t, b.WorkerEndpoints()[0], services{"echo": {Handler: echo}})
	for range 20 {
		c := dial(t, b.ClientEndpoints()[0])
		require.NoError(t, c.Ready(limited(t)))
		var all sync.WaitGroup
		begun, ended := make(chan struct{}, 8), make(chan error, 8)
		for range cap(ended) {
			all.Go(func() { ended <- useUntilClosed(c, begun) })
		}
		receive(t, begun, "a hit")
		require.NoError(t, c.Close(limited(t)))
		for range cap(ended) {
			require.ErrorIs(t, receive(t, ended, "the end of a user"), assigner.ErrClosed)
		}
		all.Wait()
		_, err := c.Open(context.Background(), "echo")
		requireError(t, err, assigner.ErrClosed, assigner.NeverStarted)
	}
}

func useUntilClosed(c *assigner.Client, begun chan<- struct{}) error {
	ctx := context.Background()
	for {
		h, err := c.Open(ctx, "echo")
		if err != nil {
			return err
		}
		select {
		case begun <- struct{}{}:
		default:
		}
		if _, err := h.Call(ctx, nil); err != nil {
			return err
		}
		if _, err := c.Do(ctx, "echo", nil); err != nil {
			return err
		}
		if err := h.Close(ctx); err != nil {
			return err
		}
	}
}

// A callback that panics harms nobody else.
func TestAProgressCallbackThatPanics(t *testing.T) {
	b := startBroker(t)
	startWorker(t, b.WorkerEndpoints()[0], services{"reports": {Handler: func(_ context.Context, c *assigner.Call) ([]byte, error) {
		c.Progress(0.5, "half")
		return echo(context.Background(), c)
	}}})
	c, ctx := dial(t, b.ClientEndpoints()[0]), limited(t)
	h, err := c.Open(ctx, "reports")
	require.NoError(t, err)
	r := assigner.Request{Progress: func(assigner.Progress) { panic("as asked") }}
	_, err = h.CallWith(ctx, r)
	require.NoError(t, err)
	_, err = c.DoWith(ctx, assigner.OpenRequest{Service: "reports"}, r)
	require.NoError(t, err)
}

// When a part of the client has crashed, nobody waits for what cannot come.
func TestACrashOfTheClientsActor(t *testing.T) {
	b := startBroker(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	defer close(goOn)
	startWorker(t, b.WorkerEndpoints()[0], services{"slow": {Handler: func(context.Context, *assigner.Call) ([]byte, error) {
		close(begun)
		<-goOn
		return nil, nil
	}}})
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet() }), actor.WithDeadLetterThrottleInterval(time.Nanosecond))
	c, err := assigner.Dial(limited(t), assigner.ClientConfig{Broker: b.ClientEndpoints()[0], System: system, Logger: quiet()})
	require.NoError(t, err)
	h, err := c.Open(limited(t), "slow")
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { _, err := h.Call(context.Background(), nil); ended <- err }()
	receive(t, begun, "the call")
	for _, part := range system.ProcessRegistry.LocalPIDs.LocalPIDs {
		for _, id := range part.Keys() {
			if strings.Contains(id, "/registrar-") {
				system.Root.Stop(actor.NewPID(system.Address(), id))
			}
		}
	}
	requireError(t, receive(t, ended, "the end of the call"), assigner.ErrInternal, assigner.Unknown)
	_, err = c.Open(context.Background(), "slow")
	requireError(t, err, assigner.ErrInternal, assigner.NeverStarted)
	_, err = h.Call(context.Background(), nil)
	requireError(t, err, assigner.ErrInternal, assigner.NeverStarted)
	_ = c.Close(limited(t))
}

func TestAnOpenedWithoutAHandle(t *testing.T) {
	b := conduct(t)
	c, _ := b.client()
	ended := make(chan error, 1)
	go func() { _, err := c.Open(context.Background(), "echo"); ended <- err }()
	m := b.hear(wire.Open)
	b.say(m.From, say(wire.Header{Type: wire.Opened, Flags: wire.Ref, Hit: m.Header.Hit, Epoch: 3}, "short", "w"))
	requireError(t, receive(t, ended, "the open"), assigner.ErrProtocol, assigner.NeverStarted)
}

// Losses and welcomes of a connection race against its users.
func TestUsersOfAConnectionThatComesAndGoes(t *testing.T) {
	b := conduct(t)
	c, peer := b.client()
	h := b.open(c)
	stop, all := make(chan struct{}), sync.WaitGroup{}
	for range 2 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				_, err := h.Call(context.Background(), nil)
				if err == nil {
					t.Error("nobody has answered")
				}
			}
		})
	}
	b.hear(wire.Call)
	for i := range 50 {
		b.say(peer, say(wire.Header{Type: wire.Error, Status: wire.NotRegistered}, "who are you?"))
		for m := receive(t, b.heard, "HELLO"); m.Header.Type != wire.Hello; m = receive(t, b.heard, "HELLO") {
			require.Equal(t, wire.Call, m.Header.Type)
		}
		b.say(peer, welcome(strings.Repeat("x", i+1)))
		require.NoError(t, c.Ready(limited(t)))
	}
	close(stop)
	all.Wait()
}
