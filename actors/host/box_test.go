package host_test

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/host"
)

func TestUserMessagesAreHandledInOrder(t *testing.T) {
	system := newSystem(t)
	got := make(chan int, 1000)
	pid := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if n, ok := c.Message().(int); ok {
			got <- n
		}
	}, actor.WithMailbox(host.Mailbox(host.MailboxConfig{})), actor.WithDispatcher(newGoroutines(t, 7))))
	for i := range 1000 {
		system.Root.Send(pid, i)
	}
	for i := range 1000 {
		require.Equal(t, i, receive(t, got))
	}
	stop(t, system, pid)
}
