package rig

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// Services are what a worker offers, by name.
type Services = map[string]assigner.Service

// Site is where a broker, workers and clients meet: endpoints that are known before anybody has started. What is started at a site is closed when
// the test ends, in reverse order.
type Site struct {
	Path    Path
	Clients string // endpoint
	Workers string // endpoint
	t       testing.TB
}

// NewSite finds endpoints for a test.
func NewSite(t testing.TB, p Path) *Site {
	t.Helper()
	return &Site{Path: p, Clients: p.Endpoint(t), Workers: p.Endpoint(t), t: t}
}

// BrokerConfig returns the configuration of the site's broker. Released memory is poisoned, and opens wait for workers without limit.
func (s *Site) BrokerConfig() assigner.BrokerConfig {
	return assigner.BrokerConfig{
		Clients: []string{s.Clients}, Workers: []string{s.Workers}, Name: "b", PerFrame: s.Path.PerFrame,
		Poison: true, Grace: Patience, Logger: Logger(s.t),
	}
}

// Broker starts the site's broker. Each change is applied to the configuration first.
func (s *Site) Broker(change ...func(*assigner.BrokerConfig)) *assigner.Broker {
	s.t.Helper()
	cfg := s.BrokerConfig()
	for _, f := range change {
		f(&cfg)
	}
	b, err := assigner.NewBroker(cfg)
	require.NoError(s.t, err)
	require.NoError(s.t, b.Start(Context(s.t)))
	s.closeLater("broker", b.Close)
	return b
}

// Worker starts a worker of the site; it may register later. Each change is applied to the configuration first.
func (s *Site) Worker(services Services, change ...func(*assigner.WorkerConfig)) *assigner.Worker {
	s.t.Helper()
	w := s.LooseWorker(services, change...)
	s.closeLater("worker", w.Close)
	return w
}

// LooseWorker is Worker for a test that closes it itself, since the close is meant to fail.
func (s *Site) LooseWorker(services Services, change ...func(*assigner.WorkerConfig)) *assigner.Worker {
	s.t.Helper()
	cfg := assigner.WorkerConfig{Broker: s.Workers, Name: "w", Services: services, PerFrame: s.Path.PerFrame, Logger: Logger(s.t)}
	for _, f := range change {
		f(&cfg)
	}
	w, err := assigner.NewWorker(cfg)
	require.NoError(s.t, err)
	require.NoError(s.t, w.Start(Context(s.t)))
	return w
}

// Client starts a client of the site; it may register later. Each change is applied to the configuration first.
func (s *Site) Client(change ...func(*assigner.ClientConfig)) *assigner.Client {
	s.t.Helper()
	cfg := assigner.ClientConfig{Broker: s.Clients, PerFrame: s.Path.PerFrame, Logger: Logger(s.t)}
	for _, f := range change {
		f(&cfg)
	}
	c, err := assigner.Dial(Context(s.t), cfg)
	require.NoError(s.t, err)
	s.closeLater("client", c.Close)
	return c
}

// closeLater closes at the end of the test, which fails if that fails.
func (s *Site) closeLater(what string, closer func(context.Context) error) {
	s.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		if err := closer(ctx); err != nil && !s.t.Failed() {
			s.t.Errorf("the %s was not closed cleanly: %v", what, err)
		}
	})
}

// Slots returns a change of a worker's configuration.
func Slots(n int) func(*assigner.WorkerConfig) {
	return func(c *assigner.WorkerConfig) { c.Slots = n }
}

// Named returns a change of a worker's configuration.
func Named(name string) func(*assigner.WorkerConfig) {
	return func(c *assigner.WorkerConfig) { c.Name = name }
}
