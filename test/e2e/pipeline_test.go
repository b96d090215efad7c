package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// TestAHundredCallsAheadOfTheirReplies: replies leave in the order of the calls, though nobody waits for them, and frames pass as they are.
func TestAHundredCallsAheadOfTheirReplies(t *testing.T) {
	for _, p := range []rig.Path{{Transport: "tcp"}, {Transport: "ipc", PerFrame: true}} {
		t.Run(p.String(), func(t *testing.T) {
			site := rig.NewSite(t, p)
			site.Broker()
			site.Worker(rig.Services{"echo": echo})
			peer := rig.NewRaw(t, site.Clients).Hello()
			handle, epoch := peer.Open(1, "echo")
			const calls = 100
			body := func(seq uint32) [][]byte {
				return [][]byte{fmt.Appendf(nil, "call %d", seq), bytes.Repeat([]byte{byte(seq)}, int(seq*seq))}
			}
			for seq := range uint32(calls) {
				peer.Say(toHit(wire.Call, handle, epoch, seq+1), body(seq+1)...)
			}
			peer.Say(toHit(wire.Close, handle, epoch, 0))
			for seq := range uint32(calls) {
				said := peer.Hear()
				require.Equal(t, wire.Header{Type: wire.Reply, Hit: handle, Epoch: epoch, Seq: seq + 1}, said.Header)
				require.Equal(t, body(seq+1), said.Frames)
			}
			require.Equal(t, wire.Closed, peer.Hear().Type, "calls made before the close are served first")
		})
	}
}

// TestCallsBeyondTheLimit: a hit that is used by more callers than it may have calls under way refuses some, with the reason, and is never out of step
// afterwards, though calls behind a refused one were on their way already.
func TestCallsBeyondTheLimit(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	site.Broker(func(c *assigner.BrokerConfig) { c.MaxCalls = 3 })
	site.Worker(rig.Services{"echo": echo})
	c := site.Client()
	h := open(t, ctx, c, "echo")
	const callers, rounds = 12, 200
	errs := make(chan error)
	for i := range callers {
		go func() {
			for k := range rounds {
				body := fmt.Sprintf("%d-%d", i, k)
				reply, err := h.Call(ctx, []byte(body))
				if err == nil && string(reply) != body {
					err = fmt.Errorf("asked %s, got the reply %s", body, reply)
				}
				errs <- err
			}
		}()
	}
	refused := 0
	for range callers * rounds {
		if err := rig.Receive(t, errs, "an answer"); err != nil {
			requireError(t, err, assigner.ErrQueueFull, assigner.NeverStarted)
			refused++
		}
	}
	require.NotZero(t, refused, "the limit was never reached, so this test has shown nothing")
	require.NotEqual(t, callers*rounds, refused)
	requireReply(t, ctx, h, "in step", "in step")
}

// TestManyCallersOfOneHit: each gets its own reply, some give up at any moment, and nobody gets another's.
func TestManyCallersOfOneHit(t *testing.T) {
	rig.EachPath(t, func(t *testing.T, p rig.Path) {
		site, ctx := rig.NewSite(t, p), rig.Context(t)
		site.Broker()
		site.Worker(rig.Services{"echo": echo})
		h := open(t, ctx, site.Client(), "echo")
		const callers, rounds = 16, 50
		errs := make(chan error)
		for i := range callers {
			go func() {
				for k := range rounds {
					errs <- ask(ctx, h, fmt.Sprintf("%d-%d", i, k), (i+k)%3 == 0)
				}
			}()
		}
		for range callers * rounds {
			require.NoError(t, rig.Receive(t, errs, "an answer"))
		}
		requireReply(t, ctx, h, "in step", "in step")
	})
}

// ask makes a call, which may be given up at any moment, and verifies what comes of it.
func ask(ctx context.Context, h *assigner.Hit, body string, giveUp bool) error {
	if giveUp {
		impatient, cancel := context.WithCancel(ctx)
		ctx = impatient
		go cancel()
	}
	reply, err := h.Call(ctx, []byte(body))
	switch {
	case err == nil && string(reply) != body:
		return fmt.Errorf("asked %s, got the reply %s", body, reply)
	case giveUp && errors.Is(err, assigner.ErrCancelled):
		return nil
	}
	return err
}
