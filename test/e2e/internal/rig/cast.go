package rig

import (
	"context"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// BrokerRole is the role of a broker in a process of its own. It runs until the test closes its input; "drain" drains it.
func BrokerRole(ctx context.Context, stage *Stage) error {
	var cfg assigner.BrokerConfig
	if err := stage.Config(&cfg); err != nil {
		return err
	}
	b, err := assigner.NewBroker(cfg)
	if err != nil {
		return err
	}
	if err := b.Start(ctx); err != nil {
		return err
	}
	stage.Say("started")
	go func() {
		for line := range stage.Heard() {
			if line == "drain" && b.Drain(ctx) == nil {
				stage.Say("drained")
			}
		}
	}()
	<-ctx.Done()
	return b.Close(context.Background())
}

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
