package tasks_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/patterns/tasks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait. It is a safety net: no test measures time by it.
const patience = 60 * time.Second

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func limited(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// stage is a broker with workers and one client.
type stage struct {
	t      *testing.T
	broker *assigner.Broker
	client *tasks.Client
}

type handler = func(ctx context.Context, worker string, c *assigner.Call) ([]byte, error)

func newStage(t *testing.T, change ...func(*assigner.BrokerConfig, *tasks.Config)) *stage {
	t.Helper()
	free := []string{"tcp://127.0.0.1:0"}
	bc := assigner.BrokerConfig{Clients: free, Workers: free, Logger: quiet(), Poison: true}
	cc := tasks.Config{}
	for _, f := range change {
		f(&bc, &cc)
	}
	b, err := assigner.NewBroker(bc)
	require.NoError(t, err)
	require.NoError(t, b.Start(limited(t)))
	t.Cleanup(func() { require.NoError(t, b.Close(context.Background())) })
	s := &stage{t: t, broker: b}
	s.client = s.dial(cc)
	return s
}

func (s *stage) dial(cfg tasks.Config) *tasks.Client {
	s.t.Helper()
	cfg.Client.Broker, cfg.Client.Logger = s.broker.ClientEndpoints()[0], quiet()
	c, err := tasks.Dial(limited(s.t), cfg)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { require.NoError(s.t, c.Close(limited(s.t))) })
	return c
}

// worker starts a worker that offers the service "job".
func (s *stage) worker(name string, slots int, f handler, change ...func(*assigner.WorkerConfig)) *assigner.Worker {
	s.t.Helper()
	cfg := assigner.WorkerConfig{Broker: s.broker.WorkerEndpoints()[0], Name: name, Slots: slots, Logger: quiet(), Services: map[string]assigner.Service{"job": {
		Threads: assigner.Goroutines, Handler: func(ctx context.Context, c *assigner.Call) ([]byte, error) { return f(ctx, name, c) },
	}}}
	for _, x := range change {
		x(&cfg)
	}
	w, err := assigner.NewWorker(cfg)
	require.NoError(s.t, err)
	require.NoError(s.t, w.Start(limited(s.t)))
	s.t.Cleanup(func() { _ = w.Close(limited(s.t)) })
	select {
	case <-w.Welcomed():
	case <-time.After(patience):
		require.FailNow(s.t, "the worker is not welcomed")
	}
	return w
}

func double(_ context.Context, _ string, c *assigner.Call) ([]byte, error) {
	n, err := strconv.Atoi(string(c.Body()))
	return strconv.AppendInt(nil, int64(2*n), 10), err
}

func whoami(_ context.Context, worker string, _ *assigner.Call) ([]byte, error) {
	return []byte(worker), nil
}

func bodies(n int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for i := range n {
			if !yield(strconv.AppendInt(nil, int64(i), 10)) {
				return
			}
		}
	}
}

func TestMapKeepsOrder(t *testing.T) {
	s := newStage(t, func(b *assigner.BrokerConfig, c *tasks.Config) { b.MaxQueue, c.InFlight = 10, 100 }) // more than the broker takes
	s.worker("a", 4, double)
	s.worker("b", 4, double)
	const n = 500
	b := s.client.Map(limited(t), tasks.Spec{Service: "job"}, bodies(n))
	seen := map[int]bool{}
	for r := range b.AsTheyCome(limited(t)) {
		require.NoError(t, r.Err)
		require.Equal(t, strconv.Itoa(2*r.Index), string(r.Reply))
		seen[r.Index] = true
	}
	require.Len(t, seen, n)
	require.True(t, b.Ready())
	all, err := b.Wait(limited(t))
	require.NoError(t, err)
	i := 0
	for r := range b.InOrder(limited(t)) {
		require.Equal(t, i, r.Index)
		require.Equal(t, all[i], r.Reply)
		i++
	}
	require.Equal(t, n, i)
	over, of := b.Progress()
	require.Equal(t, []int{n, n}, []int{over, of})
}

func TestFailedTasksRunOnAnotherWorker(t *testing.T) {
	s := newStage(t)
	fails := func(_ context.Context, worker string, _ *assigner.Call) ([]byte, error) {
		return nil, fmt.Errorf("%s is out of ink", worker)
	}
	s.worker("bad1", 8, fails)
	s.worker("bad2", 8, fails)
	s.worker("good", 1, whoami)
	retry := tasks.Retry{Most: 5, Base: time.Millisecond}
	for range 20 {
		h := s.client.Submit(limited(t), tasks.Spec{Service: "job", Retry: retry})
		got, err := h.Wait(limited(t))
		require.NoError(t, err)
		require.Equal(t, "good", string(got))
		attempts := h.Attempts()
		require.LessOrEqual(t, len(attempts), 3, "each worker fails it once")
		var members []string
		for _, a := range attempts {
			members = append(members, a.Member)
		}
		require.Len(t, slices.Compact(slices.Sorted(slices.Values(members))), len(attempts))
		require.Equal(t, members[len(members)-1], h.Member())
	}
	h := s.client.Submit(limited(t), tasks.Spec{Service: "job", Target: assigner.Target{Where: "worker=bad1|bad2"}, Retry: tasks.Retry{Most: 3, Base: time.Millisecond}})
	_, err := h.Wait(limited(t))
	require.ErrorIs(t, err, assigner.ErrService)
	var failed *tasks.Error
	require.ErrorAs(t, err, &failed)
	require.Len(t, failed.Attempts, 4, "where nobody else is left, those that have failed it are asked again")
	require.Equal(t, assigner.Finished, failed.Outcome)
	require.Contains(t, err.Error(), "out of ink")
	_, err = s.client.Submit(limited(t), tasks.Spec{Service: "job", Target: assigner.Target{Worker: "bad1"}}).Wait(limited(t))
	require.ErrorIs(t, err, assigner.ErrService)
}

func TestTasksAreCancelled(t *testing.T) {
	s := newStage(t, func(_ *assigner.BrokerConfig, c *tasks.Config) { c.InFlight = 2 })
	begun, stopped := make(chan string, 9), make(chan string, 9)
	s.worker("w", 1, func(ctx context.Context, _ string, c *assigner.Call) ([]byte, error) {
		begun <- string(c.Body())
		<-ctx.Done()
		stopped <- string(c.Body())
		return nil, ctx.Err()
	})
	runs := s.client.Submit(limited(t), tasks.Spec{Service: "job", Body: []byte("runs")})
	require.Equal(t, "runs", <-begun)
	queued := s.client.Submit(limited(t), tasks.Spec{Service: "job", Body: []byte("queued")})
	ctx, cancel := context.WithCancel(limited(t))
	here := s.client.Submit(ctx, tasks.Spec{Service: "job", Body: []byte("here")})
	require.False(t, here.Running())
	require.True(t, runs.Running())
	cancel()
	_, err := here.Wait(limited(t))
	require.ErrorIs(t, err, context.Canceled)
	queued.Cancel()
	_, err = queued.Wait(limited(t))
	require.ErrorIs(t, err, tasks.ErrCancelled)
	runs.Cancel()
	_, err = runs.Wait(limited(t))
	require.ErrorIs(t, err, tasks.ErrCancelled)
	require.Equal(t, "runs", <-stopped, "the thread that runs it was told")
	require.Empty(t, begun, "what waited has never begun")

	h := s.client.Submit(limited(t), tasks.Spec{Service: "job", Body: []byte("late"), Deadline: 50 * time.Millisecond})
	_, err = h.Wait(limited(t))
	require.ErrorIs(t, err, tasks.ErrDeadline)
	require.Equal(t, "late", <-begun)
	require.Equal(t, "late", <-stopped)
}

func TestTasksAreComeBackFor(t *testing.T) {
	s := newStage(t)
	var ran atomic.Int64
	gate := make(chan struct{})
	s.worker("w", 2, func(ctx context.Context, _ string, c *assigner.Call) ([]byte, error) {
		ran.Add(1)
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		return c.Body(), nil
	})
	first := s.dial(tasks.Config{})
	h := first.Submit(limited(t), tasks.Spec{Service: "job", Body: []byte("x"), ID: "order-1"})
	for ran.Load() == 0 {
		_, _ = s.client.Calls().IsAlive(limited(t))
	}
	require.NoError(t, first.Close(limited(t)))
	_, err := h.Wait(limited(t))
	require.ErrorIs(t, err, tasks.ErrClosed)

	ctx, leave := context.WithCancel(limited(t))
	gone := s.client.Attach(ctx, "job", "order-1")
	leave()
	_, err = gone.Wait(limited(t))
	require.ErrorIs(t, err, assigner.ErrLeave, "who leaves does not end it")
	back := s.client.Attach(limited(t), "job", "order-1")
	close(gate)
	got, err := back.Wait(limited(t))
	require.NoError(t, err)
	require.Equal(t, "x", string(got))
	again, err := s.client.Submit(limited(t), tasks.Spec{Service: "job", Body: []byte("y"), ID: "order-1"}).Wait(limited(t))
	require.NoError(t, err)
	require.Equal(t, "x", string(again), "the same submission runs once")
	require.EqualValues(t, 1, ran.Load())
	_, err = s.client.Attach(limited(t), "job", "order-2").Wait(limited(t))
	require.ErrorIs(t, err, assigner.ErrUnknownTask)
}

func TestBadSpecs(t *testing.T) {
	s := newStage(t)
	for want, spec := range map[string]tasks.Spec{
		"Service":        {},
		"Target":         {Service: "job", Target: assigner.Target{Worker: "a", Key: "b"}},
		"Frames":         {Service: "job", Body: []byte("x"), Frames: [][]byte{nil}},
		"Deadline":       {Service: "job", Deadline: -1},
		"Retry":          {Service: "job", Retry: tasks.Retry{Most: -1}},
		"Keep":           {Service: "job", Keep: 1},
		"id is":          {Service: "job", ID: "two words"},
		"Topic":          {Service: "job", Topic: string(make([]byte, 200))},
		"selector":       {Service: "job", Target: assigner.Target{Where: "=="}},
		"JSON":           {Service: "job", Session: make(chan int)},
		"Keep is 1000h0": {Service: "job", ID: "a", Keep: 1000 * time.Hour},
	} {
		_, err := s.client.Submit(limited(t), spec).Wait(limited(t))
		require.ErrorContains(t, err, want)
		var failed *tasks.Error
		require.ErrorAs(t, err, &failed)
		require.Equal(t, assigner.NeverStarted, failed.Outcome)
	}
	_, err := tasks.Dial(limited(t), tasks.Config{InFlight: -1})
	require.ErrorContains(t, err, "InFlight")
	_, err = s.client.All(limited(t), tasks.Spec{Service: "job", ID: "x"}, nil)
	require.ErrorContains(t, err, "ID")
}

func TestAClosedClientTakesNoTasks(t *testing.T) {
	s := newStage(t)
	c := s.dial(tasks.Config{})
	h := c.Submit(limited(t), tasks.Spec{Service: "job"}) // nobody offers it yet
	require.NoError(t, c.Close(limited(t)))
	_, err := h.Wait(limited(t))
	require.ErrorIs(t, err, tasks.ErrClosed)
	_, err = c.Submit(limited(t), tasks.Spec{Service: "job"}).Wait(limited(t))
	require.ErrorIs(t, err, tasks.ErrClosed)
}
