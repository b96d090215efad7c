package e2e_test

import (
	"context"
	"io"
	"os/exec"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
	"github.com/troupe-mq/troupe/test/harness"
)

// Bodies whose other end dies, or takes more than it reads.

// spring is an endless body that counts what is taken of it.
type spring struct{ taken atomic.Int64 }

// Read is io.Reader's.
func (s *spring) Read(p []byte) (int, error) {
	s.taken.Add(int64(len(p)))
	return len(p), nil
}

// eachRoute runs a test through the broker and past it.
func eachRoute(t *testing.T, test func(t *testing.T, route assigner.Route, flags ...string)) {
	t.Run("routed", func(t *testing.T) { test(t, assigner.Routed) })
	t.Run("direct", func(t *testing.T) { test(t, assigner.Direct, "--direct") })
}

// A killed worker is told as such, in the middle of a body and of a reply; and the client goes on with the next worker.
func TestAWorkerKilledInTheMiddleOfABody(t *testing.T) {
	harness.Binary(t) // which may have to be built, and no test's patience is meant for that
	for _, service := range []string{"sha256", "echo", "blob"} {
		t.Run(service, func(t *testing.T) {
			eachRoute(t, func(t *testing.T, route assigner.Route, _ ...string) {
				s, ctx := harness.New(t, harness.Config{}), harness.Context(t)
				s.Broker()
				w := s.WorkerProcess("w", "--direct-bind", "tcp://127.0.0.1:0")
				c := s.Client()
				h, err := c.OpenWith(ctx, assigner.OpenRequest{Service: service, Route: route})
				require.NoError(t, err)
				body, r := &spring{}, assigner.Request{}
				if r.Body, r.Size = body, -1; service == "blob" {
					r = assigner.Request{Frames: [][]byte{[]byte("1000000000000")}}
				}
				ended, flows := make(chan error, 1), make(chan struct{}, 1)
				go func() {
					reply, err := h.Stream(ctx, r)
					if err == nil {
						_, err = io.CopyN(io.Discard, reply.Body, 2<<20)
						flows <- struct{}{}
					}
					if err == nil {
						_, err = io.Copy(io.Discard, reply.Body)
					}
					ended <- err
				}()
				if service == "sha256" {
					rig.Until(t, "the body flows", func() bool { return body.taken.Load() > 2<<20 })
				} else {
					rig.Receive(t, flows, "the reply to flow")
				}
				w.Kill()
				requireError(t, rig.Receive(t, ended, "the call's end"), assigner.ErrWorkerGone, assigner.Unknown)
				s.WorkerProcess("w2", "--direct-bind", "tcp://127.0.0.1:0")
				next, err := c.OpenWith(ctx, assigner.OpenRequest{Service: "upper", Route: route})
				require.NoError(t, err)
				requireReply(t, ctx, next, "x", "X")
			})
		})
	}
}

// A killed client's handlers are stopped where they read or write, and the only slot is free for the next client.
func TestAClientKilledInTheMiddleOfABody(t *testing.T) {
	harness.Binary(t)
	eachRoute(t, func(t *testing.T, route assigner.Route, flags ...string) {
		s, ctx := harness.New(t, harness.Config{}), harness.Context(t)
		s.Broker()
		begun, ended := make(chan struct{}, 2), make(chan error, 2)
		end := func(err error) ([]byte, error) { ended <- err; return nil, err }
		w := s.Worker(harness.Services{"echo": echo, "drain": {Handler: func(_ context.Context, c *assigner.Call) ([]byte, error) {
			_, err := io.CopyN(io.Discard, c.Input(), 2<<20)
			begun <- struct{}{}
			if err == nil {
				_, err = io.Copy(io.Discard, c.Input())
			}
			return end(err)
		}}, "pour": {Handler: func(_ context.Context, c *assigner.Call) ([]byte, error) {
			out, err := c.Output(-1)
			begun <- struct{}{}
			if err == nil {
				_, err = io.Copy(out, &spring{})
			}
			return end(err)
		}}}, rig.Slots(1), direct)
		rig.Receive(t, w.Welcomed(), "the worker's welcome")
		for _, service := range []string{"drain", "pour"} {
			line := append([]string{"-c", `exec "$@" >/dev/null`, "sh", harness.Binary(t), "call", service, "--broker", s.Clients, "--body", "/dev/zero", "--output", "-", "--timeout", "1h"}, flags...)
			cmd := exec.Command("sh", line...)
			p := s.Process(service, cmd)
			rig.Receive(t, begun, "the body to flow")
			p.Kill()
			require.ErrorIs(t, rig.Receive(t, ended, "the handler's end"), context.Canceled, service)
			h, err := s.Client().OpenWith(ctx, assigner.OpenRequest{Service: "echo", Route: route})
			require.NoError(t, err)
			requireReply(t, ctx, h, "next", "next")
			require.NoError(t, h.Close(ctx))
		}
	})
}

// A client that allows a reply without an end and reads none of it is disconnected at the limit that holds for all its messages, on both routes; little of the
// reply is ever made: a receiver cannot fill its sender.
func TestAClientThatAllowsMoreThanItReads(t *testing.T) {
	eachYard(t, func(y *yard) {
		source, ended := [2]spring{}, make(chan error, 1)
		pour := func(body *spring) assigner.Service {
			return assigner.Service{Handler: func(_ context.Context, c *assigner.Call) ([]byte, error) {
				out, err := c.Output(-1)
				if err == nil {
					_, err = io.Copy(out, body)
				}
				ended <- err
				return nil, err
			}}
		}
		w := y.site.Worker(rig.Services{"routed": pour(&source[0]), "direct": pour(&source[1])}, rig.Named("pourer"), direct)
		rig.Receive(y.t, w.Welcomed(), "the worker's welcome")
		flood := func(greedy *rig.Raw, handle uint64, epoch uint32) error {
			greedy.Say(toHit(wire.Call, handle, epoch, 1), []byte("all of it"))
			require.True(y.t, greedy.Hear(wire.Reply).Flags.Has(wire.More))
			credit := toHit(wire.Credit, handle, epoch, 1)
			credit.Arg = 1 << 30 // a TiB
			greedy.Say(credit)
			return rig.Receive(y.t, ended, "the handler's end")
		}
		before := y.broker.Counters()
		greedy := y.guest()
		ticket := openRaw(greedy, 2, "direct")
		handle, epoch := greedy.Open(1, "routed")
		straight := rig.NewRaw(y.t, ticket.endpoint)
		require.ErrorIs(y.t, flood(straight, ticket.handle, knock(straight, ticket.handle, ticket.token).Epoch), wire.ErrPeerSlow, "the worker sees it itself")
		require.ErrorIs(y.t, flood(greedy, handle, epoch), context.Canceled, "the broker tells the worker")
		y.risen(before, "peers_hung_up")
		for i := range source {
			require.Less(y.t, source[i].taken.Load(), int64(16<<20))
		}
		y.verify()
	})
}

// A worker that allows a body without an end and reads none of it fails the call, and nothing else: its client hears peer-slow when the queue is full.
func TestAWorkerThatAllowsMoreThanItReads(t *testing.T) {
	eachYard(t, func(y *yard) {
		r := newRogue(y, "greedy")
		before := y.broker.Counters()
		body, ended := &spring{}, make(chan error, 1)
		go func() {
			_, err := r.hit.CallWith(y.ctx, assigner.Request{Body: body, Size: -1})
			ended <- err
		}()
		require.True(y.t, r.Hear(wire.Call).Flags.Has(wire.More))
		credit := r.about(wire.Credit, 1)
		credit.Arg = 1 << 20
		r.Say(credit)
		y.risen(before, "refused_peer-slow")
		stopped := r.about(wire.Error, 1)
		stopped.Status, stopped.Arg = wire.Cancelled, uint32(wire.Unknown)
		r.Say(stopped, []byte("stopped: as asked"))
		e := requireError(y.t, rig.Receive(y.t, ended, "the call's end"), assigner.ErrPeerSlow, assigner.Unknown)
		require.Contains(y.t, e.text, "worker greedy cannot be handed the body")
		y.verify()
	})
}
