package assigner_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// way is how bodies get from one side to the other.
type way struct {
	route    assigner.Route
	perFrame bool
}

// onEveryWay runs a test through the broker and past it, in batches and frame by frame.
func onEveryWay(t *testing.T, f func(*testing.T, way)) {
	for name, w := range map[string]way{
		"routed": {route: assigner.Routed}, "direct": {route: assigner.Direct},
		"routed-frames": {assigner.Routed, true}, "direct-frames": {assigner.Direct, true},
	} {
		t.Run(name, func(t *testing.T) { f(t, w) })
	}
}

// avenue is a broker, a worker and a client that use one way.
type avenue struct {
	way
	t      *testing.T
	broker *assigner.Broker
	worker *assigner.Worker
	client *assigner.Client
}

func (w way) stage(t *testing.T, s services, change ...func(*assigner.WorkerConfig)) *avenue {
	t.Helper()
	a := &avenue{way: w, t: t}
	a.broker = startBroker(t, func(c *assigner.BrokerConfig) { c.PerFrame = w.perFrame })
	a.worker = startWorker(t, a.broker.WorkerEndpoints()[0], s, append(change, direct, func(c *assigner.WorkerConfig) { c.PerFrame = w.perFrame })...)
	a.client = a.dial()
	return a
}

func (a *avenue) dial() *assigner.Client {
	a.t.Helper()
	return dial(a.t, a.broker.ClientEndpoints()[0], func(c *assigner.ClientConfig) { c.PerFrame = a.perFrame })
}

func (a *avenue) open(service string) *assigner.Hit {
	a.t.Helper()
	return a.openAt(a.client, service)
}

func (a *avenue) openAt(c *assigner.Client, service string) *assigner.Hit {
	a.t.Helper()
	h, err := c.OpenWith(limited(a.t), assigner.OpenRequest{Service: service, Route: a.route})
	require.NoError(a.t, err)
	return h
}
