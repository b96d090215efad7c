package supervision_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/supervision"
)

func TestStartsInOrderAndStopsInReverse(t *testing.T) {
	d := newDiary()
	leaf := func(id string) supervision.ChildSpec {
		return supervision.ChildSpec{ID: id, Start: d.writer(id)}
	}
	tree := start(t, newSystem(), supervision.Spec{Name: "root", Children: []supervision.ChildSpec{
		leaf("a"),
		supervision.Supervisor("sub", supervision.Spec{Children: []supervision.ChildSpec{leaf("b"), leaf("c")}}),
		leaf("d"),
	}})
	require.Equal(t, []string{"a started", "b started", "c started", "d started"}, d.rest(),
		"Start returns only after all have started")
	stop(t, tree)
	require.Equal(t, []string{"d stopped", "c stopped", "b stopped", "a stopped"}, d.rest())
	require.NoError(t, tree.Err())
	require.Equal(t, supervision.Shutdown{}, tree.Reason())
	stop(t, tree) // twice is once
}

func TestFailedStartNamesTheChildAndStopsTheOthers(t *testing.T) {
	failed := errors.New("no such device")
	ways := map[string]supervision.ChildSpec{
		"panic: boom": {Start: func() actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				if _, ok := ctx.Message().(*actor.Started); ok {
					panic("boom")
				}
			})
		}},
		"error: no such device": {Start: func() actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				if _, ok := ctx.Message().(*actor.Started); ok {
					supervision.Exit(ctx, supervision.Error{Err: failed})
				}
			})
		}},
		"panic: no actor today": {Start: func() actor.Actor { panic("no actor today") }},
		"there is no actor":     {Start: func() actor.Actor { return nil }},
		"panic: no options":     {Start: obedient, Options: func() []actor.PropsOption { panic("no options") }},
		"panic: bad mailbox": {Start: obedient, Options: func() []actor.PropsOption {
			return []actor.PropsOption{actor.WithMailbox(func() actor.Mailbox { panic("bad mailbox") })}
		}},
		"panic: bad hook": {Start: obedient, Options: func() []actor.PropsOption {
			return []actor.PropsOption{actor.WithOnInit(func(actor.Context) { panic("bad hook") })}
		}},
	}
	for text, bad := range ways {
		t.Run(text, func(t *testing.T) {
			d := newDiary()
			bad.ID = "bad"
			_, err := supervision.Start(testContext(t), newSystem(), supervision.Spec{
				Name: "root",
				Children: []supervision.ChildSpec{
					{ID: "a", Start: d.writer("a")},
					supervision.Supervisor("sub", supervision.Spec{Children: []supervision.ChildSpec{
						{ID: "b", Start: d.writer("b")}, bad, {ID: "c", Start: d.writer("c")},
					}}),
					{ID: "d", Start: d.writer("d")},
				},
			})
			require.ErrorContains(t, err, `child "sub" did not start: child "bad" did not start: `)
			require.ErrorContains(t, err, text)
			require.Equal(t, []string{"a started", "b started", "b stopped", "a stopped"}, d.rest())
			if strings.HasPrefix(text, "error") {
				require.ErrorIs(t, err, failed)
			}
		})
	}
}

func TestStartGivesUpWithItsContext(t *testing.T) {
	release, c := make(chan struct{}), newClock()
	ctx, cancel := context.WithCancel(t.Context())
	hang := func() actor.Actor {
		return actor.ReceiveFunc(func(actor.Context) { cancel(); <-release })
	}
	result := make(chan error, 1)
	go func() {
		_, err := supervision.Start(ctx, newSystem(), supervision.Spec{
			Clock:    c.spec(),
			Children: []supervision.ChildSpec{{ID: "hangs", Start: hang, Shutdown: time.Second}},
		})
		result <- err
	}()
	<-ctx.Done()
	c.await(t, time.Second, 6*time.Second) // the child's, and Start's for the root
	c.advance(time.Second)
	err := receive(t, result, "Start to return")
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "/hangs-1")
	var unstopped *supervision.UnstoppedError
	require.ErrorAs(t, err, &unstopped)
	require.Len(t, unstopped.Abandoned, 1)
	close(release)
}

func TestInvalidSpecsNameTheField(t *testing.T) {
	ok := child("a", supervision.Permanent)
	bad := map[string]supervision.Spec{
		"ID is empty":            {Children: []supervision.ChildSpec{{Start: obedient}}},
		"Start is nil":           {Children: []supervision.ChildSpec{{ID: "a"}}},
		"Restart is":             {Children: []supervision.ChildSpec{{ID: "a", Start: obedient, Restart: 9}}},
		`"a": Shutdown is -1ns`:  {Children: []supervision.ChildSpec{{ID: "a", Start: obedient, Shutdown: -1}}},
		`ID "a" is used twice`:   {Children: []supervision.ChildSpec{ok, ok}},
		"Intensity: Restarts":    {Intensity: supervision.Intensity{Restarts: -1, Window: 1}},
		"Backoff: Min":           {Backoff: supervision.Backoff{Min: -1}},
		`"x": Shutdown is -1ns`:  {Name: "x", Shutdown: -1},
		"Clock has only one of":  {Clock: supervision.Clock{Now: time.Now}},
		`"sub": supervisor spec`: {Children: []supervision.ChildSpec{supervision.Supervisor("sub", supervision.Spec{Shutdown: -1})}},
	}
	for text, spec := range bad {
		_, err := supervision.Start(testContext(t), newSystem(), spec)
		require.ErrorContains(t, err, text)
		require.Panics(t, func() { supervision.Props(spec) })
	}
}

func TestRootsHaveUniqueNames(t *testing.T) {
	system := newSystem()
	a, b := start(t, system, supervision.Spec{Name: "x"}), start(t, system, supervision.Spec{Name: "x"})
	require.NotEqual(t, a.PID().Id, b.PID().Id)
	stop(t, a)
	stop(t, b)
}

func TestListShowsTheWholeTree(t *testing.T) {
	c := newClock()
	tree := start(t, newSystem(), supervision.Spec{
		Name: "root", Clock: c.spec(),
		Children: []supervision.ChildSpec{
			child("a", supervision.Transient),
			supervision.Supervisor("sub", supervision.Spec{Children: []supervision.ChildSpec{child("b", supervision.Permanent)}}),
		},
	})
	st, err := tree.List(testContext(t))
	require.NoError(t, err)
	require.Equal(t, tree.PID(), st.PID)
	require.Len(t, st.Children, 2)
	a, sub := st.Children[0], st.Children[1]
	require.Equal(t, supervision.Transient, a.Restart)
	require.Equal(t, supervision.StateRunning, a.State)
	require.True(t, sub.Supervisor)
	require.Equal(t, sub.PID.Id+"/b-1", sub.Children[0].PID.Id)
	stop(t, tree)
	_, err = tree.List(testContext(t))
	require.ErrorIs(t, err, supervision.ErrStopping)
}
