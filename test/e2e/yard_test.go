package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// yard is a broker that bad peers try their hands at, and an honest conversation through it that must never notice.
type yard struct {
	t      *testing.T
	ctx    context.Context
	site   *rig.Site
	broker *assigner.Broker
	client *assigner.Client // honest
	held   *hold
	verify func() // waits until the honest conversation has gone on, and requires that not a byte of it was harmed
}

// The yard's limits are low, so that they are soon reached.
const (
	yardBody   = 96 << 10
	yardWindow = 256 << 10
	yardCalls  = 4
)

func newYard(t *testing.T, p rig.Path) *yard {
	t.Helper()
	y := &yard{t: t, ctx: rig.Context(t), site: rig.NewSite(t, p), held: newHold()}
	y.broker = y.site.Broker(func(c *assigner.BrokerConfig) {
		c.MaxBody, c.Window, c.MaxCalls, c.Grace, c.Ask = yardBody, yardWindow, yardCalls, -1, 2*soon
	})
	w := y.site.Worker(rig.Services{"echo": echo, "hold": y.held.service()}, rig.Slots(16), rig.Named("honest"))
	rig.Receive(t, w.Welcomed(), "the honest worker's welcome")
	y.client = y.site.Client()
	y.verify = converse(t, y.ctx, y.client)
	return y
}

// converse starts a conversation of random bytes that goes on until the test ends. The function it returns waits until it has gone on for a while.
func converse(t *testing.T, ctx context.Context, c *assigner.Client) func() {
	t.Helper()
	h := open(t, ctx, c, "echo")
	talking, stop := context.WithCancel(ctx)
	var rounds atomic.Int64
	failed := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for talking.Err() == nil {
			if err := sayAndCompare(talking, h); err != nil && talking.Err() == nil {
				failed <- err
				return
			}
			rounds.Add(1)
		}
	}()
	t.Cleanup(func() { stop(); <-ended })
	return func() {
		t.Helper()
		until := rounds.Load() + 3
		rig.Until(t, "the honest conversation goes on", func() bool {
			select {
			case err := <-failed:
				require.NoError(t, err, "the honest conversation")
			default:
			}
			return rounds.Load() >= until
		})
	}
}

func sayAndCompare(ctx context.Context, h *assigner.Hit) error {
	body := make([]byte, rand.IntN(2000))
	for i := range body {
		body[i] = byte(rand.Uint32())
	}
	tail := []byte("a second frame")
	reply, err := h.CallWith(ctx, assigner.Request{Frames: [][]byte{body, tail}})
	if err != nil {
		return err
	}
	if len(reply) != 2 || !bytes.Equal(reply[0], body) || !bytes.Equal(reply[1], tail) {
		return fmt.Errorf("%d bytes came back changed", len(body))
	}
	return nil
}

// stranger connects a raw peer to the clients' endpoint; guest registers it.
func (y *yard) stranger() *rig.Raw { y.t.Helper(); return rig.NewRaw(y.t, y.site.Clients) }
func (y *yard) guest() *rig.Raw    { y.t.Helper(); return y.stranger().Hello() }

// outsider connects a raw peer to the workers' endpoint.
func (y *yard) outsider() *rig.Raw { y.t.Helper(); return rig.NewRaw(y.t, y.site.Workers) }

// refusal is what a message must be answered by.
type refusal struct {
	status wire.Status
	what   string // what the text says is wrong
	remedy string // and what to do about it
}

// require hears the refusal, and sees it counted.
func (r refusal) require(y *yard, peer *rig.Raw, before map[string]uint64) *rig.Said {
	y.t.Helper()
	said := peer.Hear(wire.Error)
	require.Equal(y.t, r.status, said.Status, "%v: %s", said.Header, said.Text())
	require.Contains(y.t, said.Text(), r.what)
	require.Contains(y.t, said.Text(), r.remedy)
	require.EqualValues(y.t, wire.NeverStarted, said.Arg, "%v: %s", said.Header, said.Text())
	y.risen(before, "refused_"+r.status.String())
	return said
}

// risen requires that a counter of the broker is higher than before.
func (y *yard) risen(before map[string]uint64, counter string) {
	y.t.Helper()
	rig.Until(y.t, counter+" has risen", func() bool { return y.broker.Counters()[counter] > before[counter] })
}

// eachYard runs a test of bad peers on both ways to move frames.
func eachYard(t *testing.T, test func(y *yard)) {
	for _, p := range []rig.Path{{Transport: "tcp"}, {Transport: "ipc", PerFrame: true}} {
		t.Run(p.String(), func(t *testing.T) { test(newYard(t, p)) })
	}
}

// attempt runs one try of a bad peer, and then looks at the honest conversation.
func (y *yard) attempt(name string, try func(y *yard)) {
	y.t.Run(name, func(t *testing.T) {
		one := *y
		one.t, one.ctx = t, rig.Context(t)
		try(&one)
		y.verify()
	})
}
