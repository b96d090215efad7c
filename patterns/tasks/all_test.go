package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/patterns/tasks"
)

func TestAllAreAsked(t *testing.T) {
	s := newStage(t)
	gate, asked := make(chan struct{}), make(chan string, 9)
	answer := func(ctx context.Context, worker string, c *assigner.Call) ([]byte, error) {
		asked <- worker
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if worker == "bad" {
			return nil, errors.New("no ink")
		}
		return append([]byte(worker+" "), c.Body()...), nil
	}
	for i := range 5 {
		s.worker(fmt.Sprint("w", i), 2, answer, func(c *assigner.WorkerConfig) { c.Labels = map[string]string{"odd": fmt.Sprint(i % 2)} })
	}
	s.worker("bad", 1, answer)
	leaves := s.worker("leaves", 1, answer)

	type result struct {
		ledger *tasks.Ledger
		err    error
	}
	done, ended := make(chan result, 1), 0
	go func() {
		l, err := s.client.All(limited(t), tasks.Spec{Service: "job", Body: []byte("hello")}, func(tasks.Entry) { ended++ })
		done <- result{l, err}
	}()
	for range 7 {
		<-asked
	}
	s.worker("late", 1, answer)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = leaves.Close(ctx) // without a farewell to what runs
	close(gate)
	r := <-done
	require.NoError(t, r.err)
	require.True(t, r.ledger.Complete)
	require.Equal(t, 8, ended)
	require.Len(t, r.ledger.Entries, 8)
	states := map[string]tasks.State{}
	for _, e := range r.ledger.Entries {
		states[e.Member.Worker] = e.State
		if e.State == tasks.Answered {
			require.Equal(t, e.Member.Worker+" hello", string(e.Reply[0]))
		}
	}
	lost := states["leaves"]
	require.Contains(t, []tasks.State{tasks.Lost, tasks.Failed}, lost, "its session was cancelled, or it is lost")
	delete(states, "leaves")
	require.Equal(t, map[string]tasks.State{"bad": tasks.Failed, "late": tasks.Late, "w0": "answered", "w1": "answered", "w2": "answered", "w3": "answered", "w4": "answered"}, states)

	odd, err := s.client.All(limited(t), tasks.Spec{Service: "job", Target: assigner.Target{Where: "odd=1"}}, nil)
	require.NoError(t, err)
	require.Equal(t, 2, odd.Count(tasks.Answered))
	none, err := s.client.All(limited(t), tasks.Spec{Service: "nobody"}, nil)
	require.NoError(t, err)
	require.True(t, none.Complete)
	require.Empty(t, none.Entries)
}

func TestAQuestionThatIsGivenUp(t *testing.T) {
	s := newStage(t)
	asked := make(chan string, 9)
	s.worker("slow", 1, func(ctx context.Context, worker string, _ *assigner.Call) ([]byte, error) {
		asked <- worker
		<-ctx.Done()
		return nil, ctx.Err()
	})
	ctx, cancel := context.WithCancel(limited(t))
	go func() {
		<-asked
		cancel()
	}()
	l, err := s.client.All(ctx, tasks.Spec{Service: "job"}, nil)
	require.NoError(t, err)
	require.False(t, l.Complete)
	require.Equal(t, 1, l.Count(tasks.Open))
}
