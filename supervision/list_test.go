package supervision_test

import (
	"context"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/supervision"
)

// said is a mailbox that says the same of every actor.
type said supervision.Stamp

func (s said) Stamp() supervision.Stamp { return supervision.Stamp(s) }

func stampsOf(s supervision.Stamp) supervision.Stamps {
	return func(*actor.ActorSystem, *actor.PID) supervision.Stamper { return said(s) }
}

func TestListTellsWhatTheMailboxesSay(t *testing.T) {
	system := newSystem()
	tree := start(t, system, supervision.Spec{
		Name: "root", Stamps: stampsOf(supervision.Stamp{Waiting: 3, Message: "*test.Work", For: 2 * time.Second}),
		Children: []supervision.ChildSpec{
			supervision.Supervisor("sub", supervision.Spec{Children: []supervision.ChildSpec{child("x", supervision.Permanent)}}),
		},
	})
	x := find(t, tree, "sub", "x")
	require.Equal(t, 3, x.Mailbox)
	require.Equal(t, "*test.Work", x.Message)
	require.Equal(t, 2*time.Second, x.For)
	require.Equal(t, tree.PID().Id+"/sub-1/x-1", x.Path)
	require.Equal(t, 3, find(t, tree).Mailbox)
	stop(t, tree)

	silent := start(t, system, supervision.Spec{Children: []supervision.ChildSpec{child("x", supervision.Permanent)}})
	require.Equal(t, -1, find(t, silent, "x").Mailbox, "without stamps")
	stop(t, silent)
}

// TestListReturnsWhileAChildHangs: the child hangs on the goroutine that all
// supervisors of the tree live on, too.
func TestListReturnsWhileAChildHangs(t *testing.T) {
	l, system := newLane(), newSystem()
	onLane := []actor.PropsOption{actor.WithDispatcher(l)}
	tree := start(t, system, supervision.Spec{
		Name: "root", Options: onLane, ChildOptions: onLane,
		Children: []supervision.ChildSpec{
			supervision.Supervisor("sub", supervision.Spec{Options: onLane, ChildOptions: onLane, Children: []supervision.ChildSpec{
				child("x", supervision.Permanent), child("y", supervision.Permanent),
			}}),
		},
	})
	release, inside := make(chan struct{}), make(chan struct{})
	system.Root.Send(find(t, tree, "sub", "x").PID, do(func(actor.Context) { close(inside); <-release }))
	receive(t, inside, "it hangs")

	st := find(t, tree)
	require.True(t, st.Late)
	require.Len(t, st.Children, 1)
	sub := st.Children[0]
	require.True(t, sub.Late)
	require.Len(t, sub.Children, 2)
	require.Equal(t, "x", sub.Children[0].ID)

	close(release)
	for find(t, tree).Late {
		continue
	}
	stop(t, tree)
	l.close()
}

// TestListReturnsWhileASupervisorHangs in a function of its spec.
func TestListReturnsWhileASupervisorHangs(t *testing.T) {
	system := newSystem()
	release, inside := make(chan struct{}), make(chan struct{})
	tree := start(t, system, supervision.Spec{Children: []supervision.ChildSpec{
		child("a", supervision.Permanent),
		supervision.Supervisor("sub", supervision.Spec{
			OnExit:   func(supervision.Exited) { close(inside); <-release },
			Children: []supervision.ChildSpec{child("x", supervision.Temporary)},
		}),
	}})
	system.Root.Send(find(t, tree, "sub", "x").PID, do(boom))
	receive(t, inside, "the supervisor hangs")
	st := find(t, tree)
	require.Len(t, st.Children, 2)
	require.True(t, st.Children[1].Late)
	require.Empty(t, st.Children[1].Children, "nobody knows")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := tree.List(ctx)
	require.ErrorIs(t, err, context.Canceled)
	close(release)
	stop(t, tree)
}
