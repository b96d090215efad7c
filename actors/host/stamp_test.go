package host_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/host"
	"github.com/troupe-mq/troupe/supervision"
)

// TestTreeShowsWhatAHungActorIsIn: the clock of its mailbox stands still, and Now does not.
func TestTreeShowsWhatAHungActorIsIn(t *testing.T) {
	system := newSystem(t)
	var now atomic.Int64
	now.Store(int64(time.Second))
	mailbox := host.Mailbox(host.MailboxConfig{Clock: func() int64 { return int64(time.Second) }, Now: now.Load})
	release, inside, once := make(chan struct{}), make(chan struct{}), sync.Once{}
	tree, err := supervision.Start(t.Context(), system, supervision.Spec{
		Name: "root", Stamps: host.Stamps, ChildOptions: []actor.PropsOption{actor.WithMailbox(mailbox)},
		Children: []supervision.ChildSpec{
			{ID: "x", Start: func() actor.Actor {
				return actor.ReceiveFunc(func(ctx actor.Context) {
					if _, ok := ctx.Message().(*question); ok {
						once.Do(func() { close(inside) })
						<-release
					}
				})
			}},
			{ID: "foreign", Start: func() actor.Actor { return actor.ReceiveFunc(func(actor.Context) {}) }, Options: func() []actor.PropsOption { return nil }},
		},
	})
	require.NoError(t, err)
	st, err := tree.List(t.Context())
	require.NoError(t, err)
	for range 3 {
		system.Root.Send(st.Children[0].PID, &question{})
	}
	<-inside
	now.Add(int64(time.Minute))
	st, err = tree.List(t.Context())
	require.NoError(t, err)
	x := st.Children[0]
	require.Equal(t, 2, x.Mailbox)
	require.Equal(t, "*host_test.question", x.Message)
	require.Equal(t, time.Minute, x.For)
	require.Equal(t, -1, st.Children[1].Mailbox, "a mailbox from elsewhere")
	require.Equal(t, -1, st.Mailbox)

	close(release)
	require.NoError(t, tree.Stop(t.Context()))
}
