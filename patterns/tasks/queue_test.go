package tasks_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/patterns/tasks"
)

func TestQueuesAreLookedIntoAndChanged(t *testing.T) {
	s := newStage(t)
	s.worker("w", 1, whoami)
	s.worker("v", 1, whoami, func(c *assigner.WorkerConfig) {
		c.Services = map[string]assigner.Service{"other": {Handler: func(context.Context, *assigner.Call) ([]byte, error) { return []byte("elsewhere"), nil }}}
	})
	ctx, q := limited(t), s.client.Queue("job")
	require.NoError(t, q.Hold(ctx))
	require.ErrorIs(t, q.Hold(ctx), assigner.ErrRefused)
	var all []*tasks.Handle
	for i, topic := range []string{"tea", "tea", "milk", "tea", "milk"} {
		all = append(all, s.client.Submit(ctx, tasks.Spec{Service: "job", Topic: topic}))
		require.Eventually(t, func() bool {
			rows, err := q.List(ctx)
			return err == nil && len(rows) > 0 && rows[0].Waiting == i+1
		}, time.Minute, time.Millisecond)
	}
	rows, err := s.client.Queue("").List(ctx)
	require.NoError(t, err)
	require.Equal(t, map[string]int{"tea": 3, "milk": 2}, rows[0].Topics)
	items, err := q.Show(ctx, tasks.Which{Topic: "tea"}, 2)
	require.NoError(t, err)
	require.Len(t, items, 2)
	items, err = q.Show(ctx, tasks.Which{}, 0)
	require.NoError(t, err)
	require.Len(t, items, 5)
	require.NoError(t, q.Remove(ctx, items[0].ID))
	require.ErrorIs(t, q.Remove(ctx, items[0].ID), assigner.ErrRefused)
	_, err = all[0].Wait(ctx)
	require.ErrorIs(t, err, assigner.ErrKilled)
	n, err := q.Count(ctx, tasks.Which{Older: time.Hour})
	require.NoError(t, err)
	require.Zero(t, n)
	n, err = q.Clear(ctx, tasks.Which{Topic: "tea"})
	require.NoError(t, err)
	require.Equal(t, 2, n)
	moved, noRoom, err := q.Move(ctx, "other", tasks.Which{Topic: "milk"})
	require.NoError(t, err)
	require.Equal(t, []int{2, 0}, []int{moved, noRoom})
	for _, i := range []int{2, 4} {
		reply, err := all[i].Wait(ctx)
		require.NoError(t, err)
		require.Equal(t, "elsewhere", string(reply))
	}
	require.NoError(t, q.Release(ctx))
	reply, err := s.client.Submit(ctx, tasks.Spec{Service: "job"}).Wait(ctx)
	require.NoError(t, err)
	require.Equal(t, "w", string(reply))
}
