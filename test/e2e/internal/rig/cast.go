package rig

import (
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/harness"
)

// BrokerRole is harness.BrokerRole.
var BrokerRole = harness.BrokerRole

// BrokerAlone starts the site's broker in a process of its own, by the role "broker", which is BrokerRole.
func (s *Site) BrokerAlone(change ...func(*assigner.BrokerConfig)) *Process {
	s.t.Helper()
	cfg := s.BrokerConfig()
	cfg.Logger = nil
	for _, f := range change {
		f(&cfg)
	}
	p := Spawn(s.t, "broker", cfg)
	p.Await("started")
	return p
}
