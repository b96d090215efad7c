package assigner_test

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

// hands returns the actors under which a worker serves one-shots of services without threads.
func hands(t testing.TB, w *assigner.Worker) (names []string) {
	t.Helper()
	tree, err := w.Tree(limited(t))
	require.NoError(t, err)
	for _, part := range tree.Children {
		for _, c := range part.Children {
			if strings.HasPrefix(c.ID, "hand-") {
				names = append(names, c.ID)
			}
		}
	}
	slices.Sort(names)
	return names
}

// One actor serves one-shots one after another; one whose service has crashed, or left its goroutine, serves no more.
func TestOneShotsShareAnActor(t *testing.T) {
	b := startBroker(t)
	w := startWorker(t, b.WorkerEndpoints()[0], services{
		"echo":   {Handler: echo, Threads: assigner.Goroutines},
		"crash":  {Handler: func(context.Context, *assigner.Call) ([]byte, error) { panic("on purpose") }, Threads: assigner.Goroutines},
		"leaves": {Handler: func(context.Context, *assigner.Call) ([]byte, error) { runtime.Goexit(); return nil, nil }, Threads: assigner.Goroutines},
		"fails": {Open: func(context.Context, *assigner.Opening) (assigner.Session, error) {
			return nil, context.DeadlineExceeded
		}, Threads: assigner.Goroutines},
	})
	c, ctx := dial(t, b.ClientEndpoints()[0]), limited(t)
	receive(t, w.Welcomed(), "the worker's welcome")
	for range 20 {
		got, err := c.Do(ctx, "echo", []byte("x"))
		require.NoError(t, err)
		require.Equal(t, "x", string(got))
	}
	require.Equal(t, []string{"hand-1"}, hands(t, w))
	_, err := c.Do(ctx, "fails", nil)
	require.ErrorIs(t, err, assigner.ErrService)
	require.Equal(t, []string{"hand-1"}, hands(t, w), "an error is no crash")
	for i, service := range []string{"crash", "leaves"} {
		_, err := c.Do(ctx, service, nil)
		require.ErrorIs(t, err, assigner.ErrPanicked, service)
		until(t, "the actor has ended", func() bool { return len(hands(t, w)) == 0 })
		_, err = c.Do(ctx, "echo", nil)
		require.NoError(t, err)
		require.Equal(t, []string{[]string{"hand-2", "hand-3"}[i]}, hands(t, w))
	}
	require.Zero(t, w.Busy())
}

// What the broker says to a one-shot that is over is answered behind its last word, and reaches none that the same actor serves later.
func TestAnEndThatCrossesTheLastWord(t *testing.T) {
	b := conduct(t)
	goOn := make(chan struct{})
	_, peer := b.worker(services{"waits": {Threads: assigner.Goroutines, Handler: func(ctx context.Context, c *assigner.Call) ([]byte, error) {
		select {
		case <-goOn:
			return c.Body(), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}})
	begin := func(handle uint64) line {
		return say(wire.Header{Type: wire.Begin, Flags: wire.First | wire.Last, Hit: handle, Epoch: 3, Seq: 1}, "waits", "", "x")
	}
	b.say(peer, begin(1), say(wire.Header{Type: wire.End, Hit: 1, Epoch: 3}))
	require.Empty(t, b.settle(peer, 1), "said of a one-shot that runs")
	goOn <- struct{}{}
	require.Equal(t, wire.Header{Type: wire.Reply, Flags: wire.Last, Hit: 1, Epoch: 3, Seq: 1}, b.hear(wire.Reply).Header)
	b.say(peer, say(wire.Header{Type: wire.End, Hit: 1, Epoch: 3}), begin(2), say(wire.Header{Type: wire.End, Hit: 1, Epoch: 3}), say(wire.Header{Type: wire.Cancel, Hit: 1, Epoch: 3}))
	for range 2 {
		require.Equal(t, wire.Header{Type: wire.Ended, Status: wire.UnknownHit, Hit: 1, Epoch: 3}, b.hear(wire.Ended).Header)
	}
	goOn <- struct{}{}
	require.Equal(t, wire.Header{Type: wire.Reply, Flags: wire.Last, Hit: 2, Epoch: 3, Seq: 1}, b.hear(wire.Reply).Header)
}

// A one-shot that does not come back is written off, and its actor with it; others go on.
func TestAHandThatDoesNotComeBack(t *testing.T) {
	b := conduct(t)
	goOn, entered := make(chan struct{}), make(chan struct{})
	w, peer := b.worker(services{"deaf": {Threads: assigner.Goroutines, Handler: func(_ context.Context, c *assigner.Call) ([]byte, error) {
		entered <- struct{}{}
		if string(c.Body()) == "deaf" {
			<-goOn
		}
		return c.Body(), nil
	}}}, func(c *assigner.WorkerConfig) { c.Slots, c.WriteOff, c.Watch.MaxZombies = 1, time.Millisecond, 4 })
	begin := func(handle uint64, text string) line {
		return say(wire.Header{Type: wire.Begin, Flags: wire.First | wire.Last, Hit: handle, Epoch: 3, Seq: 1}, "deaf", "", text)
	}
	b.say(peer, begin(1, "deaf"))
	receive(t, entered, "the call")
	b.say(peer, say(wire.Header{Type: wire.Cancel, Hit: 1, Epoch: 3}))
	m := b.hear(wire.Error)
	require.Equal(t, wire.IsStuck, m.Header.Status)
	b.hear(wire.Changed)
	require.Equal(t, 1, w.Stats().Zombies)
	b.say(peer, begin(2, "quick"))
	receive(t, entered, "the other call")
	require.Equal(t, uint64(2), b.hear(wire.Reply).Header.Hit)
	close(goOn)
	b.hear(wire.Changed) // it has come back, and says nothing
	require.Empty(t, b.settle(peer, 1))
	require.Zero(t, w.Stats().Zombies)
	require.Equal(t, []string{"hand-2"}, hands(t, w))
}
