package actors

import (
	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/supervision/liveness"
)

// note logs a verdict with its record: one that is taken back, or that says no more than that a call was slow, is no warning.
func (a *brokerActor) note(event any) {
	if x, ok := event.(*machine.Audit); ok {
		a.house.ports.Logger.Info("operator", "by", x.By, "action", x.Action, "service", x.Service, "count", x.Count, "detail", x.Detail)
		return
	}
	y, ok := event.(*machine.Why)
	if !ok {
		return
	}
	say := a.house.ports.Logger.Warn
	if y.Verdict == liveness.Healthy.String() || y.Verdict == liveness.Slow.String() {
		say = a.house.ports.Logger.Info
	}
	say("verdict", "verdict", y.Verdict, "worker", y.Worker, "client", y.Client, "hit", y.Hit, "measured", y.Measured, "why", string(y.JSON()))
}
