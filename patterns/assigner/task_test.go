package assigner_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

func TestTasksOutliveTheirClients(t *testing.T) {
	b := startBroker(t)
	ran, gate := atomic.Int64{}, make(chan struct{})
	startWorker(t, b.WorkerEndpoints()[0], services{"slow": {Handler: func(ctx context.Context, c *assigner.Call) ([]byte, error) {
		ran.Add(1)
		select {
		case <-gate:
			return append([]byte("did "), c.Body()...), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}})
	submit := func(c *assigner.Client, task assigner.Task) (string, error) {
		got, err := c.DoWith(limited(t), assigner.OpenRequest{Service: "slow", Task: task}, assigner.Request{Frames: [][]byte{[]byte("it")}})
		if err != nil {
			return "", err
		}
		return string(got[0]), nil
	}
	c1, c2 := dial(t, b.ClientEndpoints()[0]), dial(t, b.ClientEndpoints()[0])
	failed := make(chan error, 1)
	go func() {
		_, err := submit(c1, assigner.Task{ID: "a", Keep: time.Minute})
		failed <- err
	}()
	until(t, "it runs", func() bool { return ran.Load() == 1 })
	require.NoError(t, c1.Close(limited(t)))
	require.Error(t, receive(t, failed, "the end of its submitter"))
	got := make(chan string, 2)
	for _, task := range []assigner.Task{{ID: "a", Attach: true}, {ID: "a", Keep: time.Minute}} {
		go func() {
			text, err := submit(c2, task)
			if err != nil {
				text = err.Error()
			}
			got <- text
		}()
	}
	close(gate)
	require.Equal(t, "did it", receive(t, got, "an answer"))
	require.Equal(t, "did it", receive(t, got, "another one"))
	text, err := submit(c2, assigner.Task{ID: "a", Attach: true})
	require.NoError(t, err)
	require.Equal(t, "did it", text)
	require.EqualValues(t, 1, ran.Load())

	_, err = submit(c2, assigner.Task{ID: "b", Attach: true})
	requireError(t, err, assigner.ErrUnknownTask, assigner.NeverStarted)
	_, err = submit(c2, assigner.Task{ID: "two words"})
	require.ErrorContains(t, err, "id is")
	_, err = submit(c2, assigner.Task{ID: "b", Keep: -1})
	require.ErrorContains(t, err, "Keep")
	_, err = c2.OpenWith(limited(t), assigner.OpenRequest{Service: "slow", Task: assigner.Task{ID: "b"}})
	require.ErrorContains(t, err, "DoWith")
}
