package harness

import (
	"context"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// BrokerRole is the role of a broker in a process of its own. It says "clients" and "workers" with the
// endpoints that it listens at, then "started", and runs until the test closes its input; "drain" drains it.
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
	for _, e := range b.ClientEndpoints() {
		stage.Say("clients %s", e)
	}
	for _, e := range b.WorkerEndpoints() {
		stage.Say("workers %s", e)
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
