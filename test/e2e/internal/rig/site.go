package rig

import (
	"testing"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/harness"
)

// Services are what a worker offers, by name.
type Services = harness.Services

// Site is where a broker, workers and clients meet: a system of package harness whose broker poisons the memory that it has released.
type Site struct {
	*harness.System
	Path Path
	t    testing.TB
}

// NewSite finds endpoints for a test.
func NewSite(t testing.TB, p Path) *Site {
	t.Helper()
	return &Site{harness.New(t, harness.Config{Transport: p.Transport, PerFrame: p.PerFrame}), p, t}
}

// BrokerConfig returns the configuration of the site's broker.
func (s *Site) BrokerConfig() assigner.BrokerConfig {
	cfg := s.System.BrokerConfig()
	cfg.Poison = true
	return cfg
}

// Broker starts the site's broker. Each change is applied to the configuration first.
func (s *Site) Broker(change ...func(*assigner.BrokerConfig)) *assigner.Broker {
	poison := func(c *assigner.BrokerConfig) { c.Poison = true }
	return s.System.Broker(append([]func(*assigner.BrokerConfig){poison}, change...)...)
}

// Slots returns a change of a worker's configuration.
func Slots(n int) func(*assigner.WorkerConfig) {
	return func(c *assigner.WorkerConfig) { c.Slots = n }
}

// Named returns a change of a worker's configuration.
func Named(name string) func(*assigner.WorkerConfig) {
	return func(c *assigner.WorkerConfig) { c.Name = name }
}
