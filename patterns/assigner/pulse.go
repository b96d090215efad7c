package assigner

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge"
	"github.com/troupe-mq/troupe/supervision"
)

// pulse is an actor on the loop that lets whoever watches this process know that the loop comes round.
type pulse struct {
	cfg   *WatchConfig
	loop  *bridge.Loop
	timer *bridge.Timer
}

type beat struct{} // it is time for a pulse

// pulses returns the actor as a child for the loop's tree, or none where nobody wants a pulse.
func (s *sentry) pulses(loop *bridge.Loop) []supervision.ChildSpec {
	if s.cfg.Pulse == nil {
		return nil
	}
	return []supervision.ChildSpec{{ID: "pulse", Start: func() actor.Actor { return &pulse{cfg: &s.cfg, loop: loop} }}}
}

// Receive is the engine's.
func (p *pulse) Receive(ctx actor.Context) {
	switch ctx.Message().(type) {
	case *actor.Started:
		p.timer = p.loop.NewTimer(ctx.Self(), &beat{})
		p.beat()
	case *beat:
		p.beat()
	case *actor.Stopping:
		p.timer.Stop()
	}
}

func (p *pulse) beat() {
	p.cfg.Pulse()
	p.timer.Set(p.loop.Now() + p.cfg.PulseEvery)
}

// defaultPulse is how often a loop gives its pulse.
const defaultPulse = time.Second
