package assigner_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

// outcome is what DoLater tells.
type outcome struct {
	answer assigner.Answer
	err    error
}

// callLater makes a call that nobody waits for. What came of it is told once, and never within DoLater.
func callLater(t testing.TB, ctx context.Context, c *assigner.Client, r assigner.OpenRequest, call assigner.Request) <-chan outcome {
	t.Helper()
	told := make(chan outcome, 2)
	var within sync.Mutex
	within.Lock()
	c.DoLater(ctx, r, call, func(a assigner.Answer, err error) {
		within.Lock() // would block for ever within DoLater
		told <- outcome{a, err}
		within.Unlock()
	})
	within.Unlock()
	return told
}

var toEcho = assigner.OpenRequest{Service: "echo"}

func body(text string) assigner.Request { return assigner.Request{Frames: [][]byte{[]byte(text)}} }

func TestACallThatNobodyWaitsFor(t *testing.T) {
	b := startBroker(t)
	c, ctx := dial(t, b.ClientEndpoints()[0]), limited(t)
	first := callLater(t, ctx, c, toEcho, body("before there is a worker"))
	startWorker(t, b.WorkerEndpoints()[0], services{"echo": {Handler: echo, Threads: assigner.Goroutines}})
	for range 3 { // the first one may come before the client is registered; refused as unknown, since nobody has offered it yet
		o := receive(t, first, "the answer")
		if o.err == nil {
			require.NotEmpty(t, o.answer.Member)
			require.Equal(t, "before there is a worker", string(o.answer.Frames[0]))
			break
		}
		require.ErrorIs(t, o.err, assigner.ErrUnknownService)
		first = callLater(t, ctx, c, toEcho, body("before there is a worker"))
	}
	many := make([]<-chan outcome, 100)
	for i := range many {
		many[i] = callLater(t, ctx, c, toEcho, body("x"))
	}
	for _, told := range many {
		require.NoError(t, receive(t, told, "an answer").err)
		require.Empty(t, told, "told twice")
	}
}

// What is wrong with a request is told like all else.
func TestACallThatIsRefusedHere(t *testing.T) {
	b := conduct(t)
	c, peer := b.client()
	for text, bad := range map[string]struct {
		r    assigner.OpenRequest
		call assigner.Request
	}{
		"service":      {assigner.OpenRequest{}, body("x")},
		"no hit":       {assigner.OpenRequest{Service: "echo", Resume: patience}, body("x")},
		"max-body":     {toEcho, assigner.Request{Frames: [][]byte{make([]byte, 2<<20)}}},
		"Request.Body": {toEcho, assigner.Request{Body: new(endless)}},
	} {
		o := receive(t, callLater(t, limited(t), c, bad.r, bad.call), text)
		require.ErrorContains(t, o.err, text)
		var e *assigner.Error
		require.ErrorAs(t, o.err, &e)
		require.Equal(t, assigner.NeverStarted, e.Outcome)
	}
	gone, cancel := context.WithCancel(limited(t))
	cancel()
	requireError(t, receive(t, callLater(t, gone, c, toEcho, body("x")), "the end").err, assigner.ErrCancelled, assigner.NeverStarted)
	require.Empty(t, b.settle(peer, 1))
}

type endless struct{}

func (*endless) Read(b []byte) (int, error) { return len(b), nil }

// The end of the context is the end of the call, which the broker is told; the answer that comes all the same is dropped. With ErrLeave it is told nothing.
func TestACallThatIsGivenUp(t *testing.T) {
	b := conduct(t)
	c, peer := b.client()
	ctx, giveUp := context.WithCancelCause(limited(t))
	told := callLater(t, ctx, c, toEcho, body("x"))
	ref := b.hear(wire.Open).Header.Hit
	giveUp(nil)
	requireError(t, receive(t, told, "the end").err, assigner.ErrCancelled, assigner.Unknown)
	require.Equal(t, wire.Header{Type: wire.Close, Flags: wire.Ref, Hit: ref}, b.hear(wire.Close).Header)
	b.say(peer, say(wire.Header{Type: wire.Reply, Flags: wire.Ref | wire.Last, Hit: ref, Seq: 1}, "late"))
	require.Empty(t, b.settle(peer, 1))

	ctx, giveUp = context.WithCancelCause(limited(t))
	left := callLater(t, ctx, c, toEcho, body("x"))
	b.hear(wire.Open)
	giveUp(assigner.ErrLeave)
	require.Error(t, receive(t, left, "the end").err)
	require.Empty(t, b.settle(peer, 2))
	require.Empty(t, told)
}

// A slot that another broker's hit has taken is nobody's fault: the call is sent again.
func TestACallWhoseSlotIsTaken(t *testing.T) {
	b := conduct(t)
	c, peer := b.client()
	told := callLater(t, limited(t), c, toEcho, body("x"))
	m := b.hear(wire.Open)
	b.say(peer, say(wire.Header{Type: wire.Error, Flags: wire.Ref | wire.Last, Status: wire.SlotTaken, Hit: m.Header.Hit, Seq: 1, Arg: uint32(wire.NeverStarted)}, "taken"))
	m = b.hear(wire.Open)
	require.Equal(t, "x", string(m.Frame(2)))
	b.say(peer, say(wire.Header{Type: wire.Reply, Flags: wire.Ref | wire.Last, Hit: m.Header.Hit, Seq: 1, Epoch: 9}, "y"))
	o := receive(t, told, "the answer")
	require.NoError(t, o.err)
	require.Equal(t, assigner.Answer{Frames: [][]byte{[]byte("y")}, Member: "9"}, o.answer)
}

// A client that is closed, or loses its broker, has told all who have not had an answer.
func TestCallsUnderWayWhenTheClientEnds(t *testing.T) {
	b := conduct(t)
	c, _ := b.client()
	told := callLater(t, limited(t), c, toEcho, body("x"))
	b.hear(wire.Open)
	require.NoError(t, c.Close(limited(t)))
	requireError(t, receive(t, told, "the end").err, assigner.ErrClosed, assigner.Unknown)
	after := callLater(t, limited(t), c, toEcho, body("x"))
	requireError(t, receive(t, after, "the end").err, assigner.ErrClosed, assigner.NeverStarted)
}
