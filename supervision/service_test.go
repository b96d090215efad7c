package supervision_test

import (
	"context"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/supervision"
)

func TestServiceReasons(t *testing.T) {
	ways := map[string]struct {
		serve  func(context.Context) error
		reason supervision.Reason
	}{
		"returns":        {func(context.Context) error { return nil }, supervision.Normal{}},
		"fails":          {func(context.Context) error { return errSaid }, supervision.Error{Err: errSaid}},
		"odd context":    {func(context.Context) error { return context.Canceled }, supervision.Error{Err: context.Canceled}},
		"until canceled": {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, supervision.Shutdown{}},
		"ends in order":  {func(ctx context.Context) error { <-ctx.Done(); return nil }, supervision.Normal{}},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			ends := newExits()
			tree := start(t, newSystem(), supervision.Spec{OnExit: ends.hook, Children: []supervision.ChildSpec{
				{ID: "service", Start: supervision.Service(way.serve), Restart: supervision.Temporary},
			}})
			if _, ok := way.reason.(supervision.Shutdown); ok || name == "ends in order" {
				stop(t, tree)
			}
			require.Equal(t, way.reason, receive(t, ends, "the end").Reason)
			stop(t, tree)
		})
	}
}

func TestServicePanics(t *testing.T) {
	ends := newExits()
	tree := start(t, newSystem(), supervision.Spec{OnExit: ends.hook, Children: []supervision.ChildSpec{
		{ID: "service", Start: supervision.Service(func(context.Context) error { panic("boom") }), Restart: supervision.Temporary},
	}})
	p, ok := receive(t, ends, "the end").Reason.(supervision.Panic)
	require.True(t, ok)
	require.Equal(t, "boom", p.Value)
	require.Contains(t, string(p.Stack), "TestServicePanics")
	stop(t, tree)
}

// TestServiceThatDoesNotReturn is abandoned, and does not block the lane that
// the other children live on.
func TestServiceThatDoesNotReturn(t *testing.T) {
	l, c, d := newLane(), newClock(), newDiary()
	onLane := []actor.PropsOption{actor.WithDispatcher(l)}
	release := make(chan struct{})
	deaf := supervision.Service(func(context.Context) error { <-release; d.write("returned"); return nil })
	tree := start(t, newSystem(), supervision.Spec{
		Clock: c.spec(), Options: onLane, ChildOptions: onLane,
		Children: []supervision.ChildSpec{{ID: "a", Start: d.writer("a")}, {ID: "deaf", Start: deaf}},
	})
	path := find(t, tree, "deaf").PID.Id
	result := stopping(t, tree)
	c.await(t, supervision.DefaultShutdown, 6*time.Second)
	c.advance(supervision.DefaultShutdown)
	var unstopped *supervision.UnstoppedError
	require.ErrorAs(t, receive(t, result, "Stop to return"), &unstopped)
	require.Equal(t, []string{path}, unstopped.Abandoned)
	require.Equal(t, []string{"a started", "a stopped"}, d.rest())
	close(release)
	require.Equal(t, "returned", d.next(t))
	l.close()
}

// TestTemporaryService gets a record of its own, so that it can end in its own
// time although it was started the cheap way.
func TestTemporaryService(t *testing.T) {
	system := newSystem()
	watcher, heard := inbox(t, system)
	tree := start(t, system, supervision.Spec{Observer: watcher})
	serve := supervision.Service(func(ctx context.Context) error { <-ctx.Done(); return errSaid })
	system.Root.Send(tree.PID(), &supervision.StartTemporary{ID: "s", Actor: serve()})
	flush(t, system, tree.PID())
	stop(t, tree)
	exited, ok := receive(t, heard, "the end").(*supervision.Exited)
	require.True(t, ok)
	require.Equal(t, supervision.Error{Err: errSaid}, exited.Reason)
}
