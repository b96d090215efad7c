package host_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/host"
	"github.com/troupe-mq/troupe/bridge/wire"
)

func TestDeliverHandlesAtOnceWhereNothingWaits(t *testing.T) {
	d := &manual{throughput: 10}
	box, engine := newBox(host.MailboxConfig{}, d)
	require.True(t, box.Deliver(d, "now"))
	require.Equal(t, []any{"now"}, engine.got)
	require.False(t, d.step(), "no turn was scheduled")

	box.PostUserMessage("first")
	require.False(t, box.Deliver(d, "second"), "it would overtake")
	box.PostUserMessage("second")
	d.drain()
	require.Equal(t, []any{"now", "first", "second"}, engine.got)
	require.EqualValues(t, 3, box.Stats().Handled)
}

func TestDeliverLetsSystemMessagesGoFirst(t *testing.T) {
	d := &manual{throughput: 10}
	box, engine := newBox(host.MailboxConfig{}, d)
	box.PostSystemMessage("system")
	require.False(t, box.Deliver(d, "user"))
	require.Empty(t, engine.got)
}

func TestDeliverIsForTheMailboxesOwnDispatcher(t *testing.T) {
	d := &manual{throughput: 10}
	box, engine := newBox(host.MailboxConfig{}, d)
	require.False(t, box.Deliver(&manual{}, "elsewhere"))
	unstarted := host.NewBox(host.MailboxConfig{})
	unstarted.RegisterHandlers(engine, d)
	require.False(t, unstarted.Deliver(d, "early"), "it has not been started")
	require.Empty(t, engine.got)
}

func TestMessagesPostedWhileOneIsDeliveredFollowInOrder(t *testing.T) {
	d := &manual{throughput: 2}
	box, engine := newBox(host.MailboxConfig{}, d)
	engine.onUser = func(message any) {
		if message == 0 {
			require.False(t, box.Deliver(d, "inside"), "a handler is not entered twice")
			for i := range 3 {
				box.PostUserMessage(i + 1)
			}
		}
	}
	require.True(t, box.Deliver(d, 0))
	require.Equal(t, []any{0, 1, 2}, engine.got, "as many as a turn may handle")
	d.drain()
	require.Equal(t, []any{0, 1, 2, 3}, engine.got)
}

// counting is a lease that counts.
type counting struct{ holds int }

func (c *counting) Retain()  { c.holds++ }
func (c *counting) Release() { c.holds-- }

func TestPanicWhileDeliveringIsEscalatedAndKeepsTheCallersLease(t *testing.T) {
	d := &manual{throughput: 10}
	box, engine := newBox(host.MailboxConfig{}, d)
	lease := &counting{holds: 1}
	m := wire.NewMessage(wire.Header{Type: wire.Call})
	m.Lease = lease
	engine.onUser = func(message any) {
		if message == any(m) {
			panic("broken")
		}
	}
	require.True(t, box.Deliver(d, m))
	require.Len(t, engine.failures, 1)
	require.Equal(t, "broken", engine.failures[0].(*host.Panic).Value)
	require.Equal(t, 1, lease.holds)

	require.False(t, box.Deliver(d, "after"), "a turn is due first")
	box.PostUserMessage("after")
	d.drain()
	require.Equal(t, []any{m, "after"}, engine.got)
}

func TestDeliverDoesNotAllocate(t *testing.T) {
	d := &manual{throughput: 10}
	box, engine := newBox(host.MailboxConfig{}, d)
	engine.got = make([]any, 0, 2000)
	message := any("message")
	require.Zero(t, testing.AllocsPerRun(1000, func() { box.Deliver(d, message) }))
}
