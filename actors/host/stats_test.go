package host_test

import (
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/host"
)

type question struct{}

// A watchdog sees from outside which message an actor hangs in, and since when; envelopes are looked through, and the
// Started handler counts too.
func TestStatsNameTheMessageInProgress(t *testing.T) {
	system := newSystem(t)
	var now atomic.Int64
	now.Store(100)
	entered, leave := make(chan struct{}), make(chan struct{})
	box := host.NewBox(host.MailboxConfig{Clock: now.Load})
	pid := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch c.Message().(type) {
		case *actor.Started, question:
			entered <- struct{}{}
			<-leave
		}
	}, actor.WithMailbox(box.Producer()), actor.WithDispatcher(newGoroutines(t, 10))))

	receive(t, entered)
	stats := box.Stats()
	require.Equal(t, "*actor.Started", stats.MessageName())
	require.EqualValues(t, 100, stats.Since)

	system.Root.RequestWithCustomSender(pid, question{}, pid) // in an envelope
	now.Store(250)
	leave <- struct{}{}
	receive(t, entered)
	stats = box.Stats()
	require.Equal(t, "host_test.question", stats.MessageName())
	require.EqualValues(t, 250, stats.Since)
	require.EqualValues(t, 1, stats.Handled)
	require.Equal(t, host.DefaultCapacity, stats.Limit)
	require.False(t, stats.Stopped)

	leave <- struct{}{}
	stop(t, system, pid)
}

func TestStatsOfAnIdleMailboxNameNothing(t *testing.T) {
	d := &manual{throughput: 10}
	box, _ := newBox(host.MailboxConfig{Clock: func() int64 { return 7 }}, d)
	box.PostUserMessage(question{})
	require.Equal(t, 1, box.Stats().Length)
	d.drain()
	require.Equal(t, host.Stats{Limit: host.DefaultCapacity, Handled: 1}, box.Stats())
	require.Empty(t, box.Stats().MessageName())
}
