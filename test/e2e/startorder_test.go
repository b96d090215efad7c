package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

func TestStartOrderDoesNotMatter(t *testing.T) {
	orders := [][]string{
		{"client", "broker", "worker"},
		{"client", "worker", "broker"},
		{"broker", "client", "worker"},
		{"broker", "worker", "client"},
		{"worker", "client", "broker"},
		{"worker", "broker", "client"},
	}
	rig.EachPath(t, func(t *testing.T, p rig.Path) {
		for _, order := range orders {
			t.Run(order[0]+"-"+order[1]+"-"+order[2], func(t *testing.T) {
				site, ctx := rig.NewSite(t, p), rig.Context(t)
				var opened <-chan opening // begun as soon as there is a client
				var worker *assigner.Worker
				for _, who := range order {
					switch who {
					case "client":
						opened = openLater(ctx, site.Client(), "echo")
					case "broker":
						site.Broker()
					case "worker":
						worker = site.Worker(rig.Services{"echo": echo})
					}
				}
				o := rig.Receive(t, opened, "the open")
				require.NoError(t, o.err)
				requireReply(t, ctx, o.hit, "hello", "hello")
				require.NoError(t, o.hit.Close(ctx))
				rig.Receive(t, worker.Welcomed(), "the worker's welcome")
			})
		}
	})
}

// TestNobodyIsThere is the other side: without a broker, or without a worker, an open ends with the context, and says what is missing.
func TestNobodyIsThere(t *testing.T) {
	site := rig.NewSite(t, rig.TCP)
	c := site.Client()
	ctx, cancel := contextWith(t, soon)
	defer cancel()
	_, err := c.Open(ctx, "echo")
	e := requireError(t, err, assigner.ErrBrokerGone, assigner.NeverStarted)
	require.Contains(t, e.text, "no broker is reached at "+site.Clients)
	require.ErrorIs(t, err, ctx.Err())

	b := site.Broker(func(c *assigner.BrokerConfig) { c.Grace = -1 })
	_, err = c.Open(rig.Context(t), "echo")
	e = requireError(t, err, assigner.ErrUnknownService, assigner.NeverStarted)
	require.Contains(t, e.text, `no worker has offered the service "echo"`)
	require.NotZero(t, b.Counters()["refused_unknown-service"])
}
