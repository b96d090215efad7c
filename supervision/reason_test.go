package supervision_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/supervision"
)

func TestReasonTexts(t *testing.T) {
	texts := map[string]supervision.Reason{
		"normal":                            supervision.Normal{},
		"shutdown":                          supervision.Shutdown{},
		"panic: boom":                       supervision.Panic{Value: "boom"},
		"error: said so":                    supervision.Error{Err: errSaid},
		"abandoned: did not stop within 2s": supervision.Abandoned{After: 2 * time.Second},
		`child "x" did not start: error: said so`: supervision.StartFailed{
			ID: "x", Cause: supervision.Error{Err: errSaid},
		},
		`more than 3 restarts within 1s, the last of child "x" (panic: said so): ` +
			"remove the cause, or raise Intensity": supervision.IntensityExceeded{
			ID: "x", Last: supervision.Panic{Value: errSaid},
			Limit: supervision.Intensity{Restarts: 3, Window: time.Second},
		},
	}
	for text, reason := range texts {
		require.EqualError(t, reason, text)
	}
}

func TestReasonsUnwrapToTheirCause(t *testing.T) {
	for _, reason := range []supervision.Reason{
		supervision.Panic{Value: errSaid},
		supervision.Error{Err: errSaid},
		supervision.StartFailed{Cause: supervision.Panic{Value: errSaid}},
		supervision.IntensityExceeded{Last: supervision.Error{Err: errSaid}},
	} {
		require.ErrorIs(t, reason, errSaid)
	}
	require.NotErrorIs(t, supervision.Panic{Value: "said so"}, errSaid)
}

func TestUnstoppedErrorNamesEverybody(t *testing.T) {
	err := &supervision.UnstoppedError{
		Abandoned: []string{"a", "b"}, Waiting: []string{"c"}, Cause: context.DeadlineExceeded,
	}
	require.EqualError(t, err, "supervision: not everything stopped (abandoned after their deadline: a, b; "+
		"still stopping: c; context deadline exceeded): find what blocks these handlers, or raise Shutdown")
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// TestExitOutsideOfATree only stops the actor.
func TestExitOutsideOfATree(t *testing.T) {
	system, stopped := newSystem(), make(chan struct{})
	pid := system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		switch ctx.Message().(type) {
		case string:
			supervision.Exit(ctx, supervision.Error{Err: errSaid})
		case *actor.Stopped:
			close(stopped)
		}
	}))
	system.Root.Send(pid, "go")
	receive(t, stopped, "the stop")
}

func TestAskingGivesUpWithItsContext(t *testing.T) {
	l, system := newLane(), newSystem()
	onLane := []actor.PropsOption{actor.WithDispatcher(l)}
	tree := start(t, system, supervision.Spec{
		Options: onLane, ChildOptions: onLane,
		Children: []supervision.ChildSpec{child("x", supervision.Permanent)},
	})
	require.Nil(t, tree.Reason())
	release := make(chan struct{})
	hung(t, system, find(t, tree, "x").PID, release)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := tree.StartChild(ctx, child("y", supervision.Permanent))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, `start child "y"`)
	require.ErrorIs(t, tree.StopChild(ctx, "x"), context.Canceled)
	_, err = tree.List(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, errors.Is(err, supervision.ErrStopping))
	close(release)
	stop(t, tree)
	l.drain(t)
	l.close()
}
