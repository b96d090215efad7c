package assigner_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// TestBacklog: a worker takes hits beyond its slots, whose calls wait there: only so many as there are slots run at a time, and those that wait can be cancelled, or expire, and have then not started.
func TestBacklog(t *testing.T) {
	b := startBroker(t)
	began, hold := make(chan string, 8), make(chan struct{})
	w := startWorker(t, b.WorkerEndpoints()[0], services{"wait": {Threads: assigner.Goroutines, Handler: func(_ context.Context, c *assigner.Call) ([]byte, error) {
		began <- string(c.Body())
		<-hold
		return c.Body(), nil
	}}}, func(c *assigner.WorkerConfig) { c.Slots, c.Backlog = 1, 3 })
	receive(t, w.Welcomed(), "the welcome")
	c := dialAll(t, nil, b.ClientEndpoints()[0])
	type end struct {
		name string
		err  error
	}
	ends := make(chan end, 4)
	call := func(ctx context.Context, name string) {
		go func() {
			_, err := c.Do(ctx, "wait", []byte(name))
			ends <- end{name, err}
		}()
	}
	call(limited(t), "first")
	require.Equal(t, "first", receive(t, began, "the first call"))
	stopped, stop := context.WithCancel(limited(t))
	call(stopped, "cancelled")
	hasty, over := context.WithTimeout(limited(t), 50*time.Millisecond)
	defer over()
	call(hasty, "late")
	got := receive(t, ends, "the one whose time is over")
	require.Equal(t, "late", got.name)
	require.ErrorIs(t, got.err, assigner.ErrExpired)
	until(t, "the cancelled one waits at the worker", func() bool { return w.Stats().Used >= 2 })
	call(limited(t), "last")
	until(t, "the last one waits at the worker", func() bool { return w.Stats().Used == 3 })
	stop()
	require.Equal(t, "cancelled", receive(t, ends, "the cancelled one").name)
	until(t, "its place is free", func() bool { return w.Stats().Used == 2 })
	require.Empty(t, began, "only one runs at a time, and who was cancelled has not begun")
	close(hold)
	require.Equal(t, "last", receive(t, began, "the last call"))
	for range 2 {
		require.NoError(t, receive(t, ends, "the end of a call").err)
	}
	require.Empty(t, began)
}

// TestBacklogOfSessions: a hit beyond the slots is open, and its calls wait for their turn.
func TestBacklogOfSessions(t *testing.T) {
	b := startBroker(t)
	began, hold := make(chan string, 8), make(chan struct{})
	startWorker(t, b.WorkerEndpoints()[0], services{"wait": {Threads: assigner.Goroutines, Handler: func(_ context.Context, c *assigner.Call) ([]byte, error) {
		began <- string(c.Body())
		<-hold
		return nil, nil
	}}}, func(c *assigner.WorkerConfig) { c.Slots, c.Backlog = 1, 1 })
	c := dialAll(t, nil, b.ClientEndpoints()[0])
	first, err := c.Open(limited(t), "wait")
	require.NoError(t, err)
	second, err := c.Open(limited(t), "wait")
	require.NoError(t, err, "a hit beyond the slots is open, and may call")
	one := make(chan error, 1)
	go func() { _, err := first.Call(limited(t), []byte("one")); one <- err }()
	receive(t, began, "the call of the first hit")
	hasty, over := context.WithTimeout(limited(t), 30*time.Millisecond)
	defer over()
	_, err = second.Call(hasty, []byte("two"))
	require.ErrorIs(t, err, assigner.ErrExpired) // never started, where the worker's answer comes before the client gives up
	require.Empty(t, began)
	close(hold)
	require.NoError(t, receive(t, one, "the first call's end"))
	require.NoError(t, first.Close(limited(t)))
	require.NoError(t, second.Close(limited(t)))
}

func TestMistakesInBacklog(t *testing.T) {
	for name, change := range map[string]func(*assigner.WorkerConfig){
		"negative": func(c *assigner.WorkerConfig) { c.Backlog = -1 },
		"too many": func(c *assigner.WorkerConfig) { c.Backlog = 70000 },
		"growing":  func(c *assigner.WorkerConfig) { c.Slots, c.MaxSlots, c.Backlog = 1, 2, 1 },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := assigner.WorkerConfig{Services: services{"echo": {Handler: echoBack}}}
			change(&cfg)
			_, err := assigner.NewWorker(cfg)
			require.ErrorContains(t, err, "Backlog")
		})
	}
}
