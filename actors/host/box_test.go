package host_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"weak"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/host"
)

func TestMessagesAreHandledInOrderAndSystemFirst(t *testing.T) {
	d := &manual{throughput: 100}
	box, engine := newBox(host.MailboxConfig{}, d)
	var want []any
	for i := range 40 { // more than one growth of the ring
		box.PostUserMessage(i)
		want = append(want, i)
	}
	watch, started := &actor.Watch{}, &actor.Started{}
	box.PostSystemMessage(watch)
	box.PostSystemMessage(started)
	d.drain()
	require.Equal(t, append([]any{watch, started}, want...), engine.got)
}

func TestSystemMessageOvertakesWithinATurn(t *testing.T) {
	d := &manual{throughput: 100}
	box, engine := newBox(host.MailboxConfig{}, d)
	watch := &actor.Watch{}
	engine.onUser = func(message any) {
		if message == 1 {
			box.PostSystemMessage(watch)
		}
	}
	for i := 1; i <= 3; i++ {
		box.PostUserMessage(i)
	}
	require.True(t, d.step())
	require.Equal(t, []any{1, watch, 2, 3}, engine.got)
	require.False(t, d.step(), "everything belonged to one turn")
}

func TestNothingIsHandledBeforeStart(t *testing.T) {
	d := &manual{throughput: 100}
	box, engine := host.NewBox(host.MailboxConfig{Capacity: 1}), &recorder{}
	box.PostUserMessage("early")
	box.PostUserMessage("early too, beyond the limit: nobody could be told")
	box.RegisterHandlers(engine, d)
	box.PostUserMessage("beyond the limit: dropped, this engine has no dead letters")
	started := &actor.Started{}
	box.PostSystemMessage(started)
	d.drain()
	require.Empty(t, engine.got)

	box.Start()
	d.drain()
	require.Equal(t, []any{started, "early", "early too, beyond the limit: nobody could be told"}, engine.got)
	require.EqualValues(t, 1, box.Stats().Rejected)
}

func TestTwoBusyMailboxesAlternate(t *testing.T) {
	d := &manual{throughput: 2}
	var order []string
	for _, name := range []string{"a", "b"} {
		box, engine := newBox(host.MailboxConfig{}, d)
		engine.onUser = func(any) { order = append(order, name) }
		for i := range 5 {
			box.PostUserMessage(i)
		}
	}
	d.drain()
	require.Equal(t, []string{"a", "a", "b", "b", "a", "a", "b", "b", "a", "b"}, order)
}

func TestSelfSendDoesNotKeepTheTurn(t *testing.T) {
	d := &manual{throughput: 3}
	box, engine := newBox(host.MailboxConfig{}, d)
	engine.onUser = func(any) { box.PostUserMessage("again") }
	box.PostUserMessage("again")
	require.True(t, d.step())
	require.Len(t, engine.got, 3)
	require.True(t, d.step())
	require.Len(t, engine.got, 6)
}

func TestSuspendedMailboxHandlesSystemMessagesOnly(t *testing.T) {
	d := &manual{throughput: 100}
	box, engine := newBox(host.MailboxConfig{}, d)
	box.PostSystemMessage(&actor.SuspendMailbox{})
	box.PostUserMessage("waits")
	d.drain()
	box.PostUserMessage("waits too")
	require.False(t, d.step(), "a suspended mailbox must not be scheduled for user messages")
	require.True(t, box.Stats().Suspended)

	watch := &actor.Watch{}
	box.PostSystemMessage(watch)
	d.drain()
	require.Equal(t, []any{watch}, engine.got)

	box.PostSystemMessage(&actor.ResumeMailbox{})
	d.drain()
	require.Equal(t, []any{watch, "waits", "waits too"}, engine.got)
	require.False(t, box.Stats().Suspended)
}

type batch []any

func (b batch) GetMessages() []any { return b }

func TestBatchIsPostedByElementsAndThenItself(t *testing.T) {
	d := &manual{throughput: 100}
	box, engine := newBox(host.MailboxConfig{}, d)
	b := &batch{1, 2}
	envelope := &actor.MessageEnvelope{Message: b}
	box.PostUserMessage(b)
	box.PostUserMessage(envelope)
	box.PostUserMessage(nil)
	d.drain()
	require.Equal(t, []any{1, 2, b, 1, 2, envelope, nil}, engine.got)
}

func TestFullMailboxRejectsWithTheReason(t *testing.T) {
	d := &manual{throughput: 100}
	var rejected []any
	var reason error
	box, engine := newBox(host.MailboxConfig{Capacity: 2, OnReject: func(_ *actor.PID, message any, why error) {
		rejected, reason = append(rejected, message), why
	}}, d)
	for i := range 5 {
		box.PostUserMessage(i)
	}
	require.Equal(t, []any{2, 3, 4}, rejected)
	require.ErrorIs(t, reason, host.ErrMailboxFull)
	require.Equal(t, "host: mailbox is full: 2 user messages wait and the limit is 2: try again later or raise "+
		"MailboxConfig.Capacity", reason.Error())
	require.NotErrorIs(t, reason, host.ErrStopped)

	var full *host.FullError
	require.ErrorAs(t, box.TryPost(5), &full)
	require.Equal(t, host.FullError{Length: 2, Limit: 2}, *full)
	require.Len(t, rejected, 3, "a message refused by TryPost is still its caller's")

	pill := &actor.PoisonPill{}
	box.PostUserMessage(pill)
	require.Equal(t, 3, box.UserMessageCount())
	d.drain()
	require.Equal(t, []any{0, 1, pill}, engine.got)
	require.NoError(t, box.TryPost(6))
	d.drain()
	stats := box.Stats()
	require.EqualValues(t, 4, stats.Handled)
	require.EqualValues(t, 4, stats.Rejected)
}

// A mailbox that has dropped something must become idle again (the engine's dropping mailbox spins for ever).
func TestMailboxIsIdleAfterRejections(t *testing.T) {
	d := &manual{throughput: 100}
	box, _ := newBox(host.MailboxConfig{Capacity: 8}, d)
	for i := range 50 {
		box.PostUserMessage(i)
	}
	require.True(t, d.step())
	require.False(t, d.step(), "an idle mailbox scheduled another turn")
	require.Zero(t, box.UserMessageCount())
}

func TestHandlerThatLeavesIsAFailureAndTheMailboxGoesOn(t *testing.T) {
	leaving := map[string]func(){
		"panic":     func() { panic(errors.ErrUnsupported) },
		"goexit":    runtime.Goexit,
		"nil panic": func() { panic(nil) }, //nolint:govet // which a careless actor may do
	}
	for name, leave := range leaving {
		t.Run(name, func(t *testing.T) {
			d := newGoroutines(t, 100)
			box, engine := newBox(host.MailboxConfig{}, d)
			handled := make(chan struct{})
			engine.onUser = func(message any) {
				if message == "leave" {
					leave()
				}
				close(handled)
			}
			box.PostUserMessage("leave")
			box.PostUserMessage("next")
			receive(t, handled)
			await(t, d.Wait)
			require.Len(t, engine.failures, 1)
			failure, ok := engine.failures[0].(*host.Panic)
			require.True(t, ok)
			require.Contains(t, string(failure.PanicStack()), "TestHandlerThatLeavesIsAFailure")
			require.Equal(t, name == "panic", errors.Is(failure, errors.ErrUnsupported))
			require.Equal(t, name == "goexit", strings.Contains(failure.Error(), "Goexit"), failure.Error())
		})
	}
}

// The ring must not keep a handled message alive while others wait in it.
func TestHandledMessageIsForgotten(t *testing.T) {
	d := &manual{throughput: 1}
	box := host.NewBox(host.MailboxConfig{Clock: func() int64 { return 1 }})
	box.RegisterHandlers(forgetful{}, d)
	box.Start()
	first := &[1 << 10]byte{}
	trace := weak.Make(first)
	box.PostUserMessage(first)
	box.PostUserMessage("waits")
	require.True(t, d.step())
	runtime.GC()
	require.Nil(t, trace.Value())
	require.Equal(t, 1, box.UserMessageCount())
}

// forgetful is an engine that does nothing.
type forgetful struct{}

func (forgetful) InvokeSystemMessage(any)  {}
func (forgetful) InvokeUserMessage(any)    {}
func (forgetful) EscalateFailure(_, _ any) {}

func TestConfigIsValidated(t *testing.T) {
	for _, capacity := range []int{-2, host.MaxCapacity + 1} {
		cfg := host.MailboxConfig{Capacity: capacity}
		require.ErrorContains(t, cfg.Validate(), "MailboxConfig.Capacity")
		require.Panics(t, func() { host.Mailbox(cfg) })
	}
	require.NoError(t, host.MailboxConfig{}.Validate())
	require.Equal(t, host.DefaultCapacity, host.NewBox(host.MailboxConfig{}).Stats().Limit)

	d := &manual{throughput: 100}
	box, _ := newBox(host.MailboxConfig{Capacity: host.Unbounded}, d)
	for i := range 10 * host.DefaultCapacity {
		require.NoError(t, box.TryPost(i))
	}
}
