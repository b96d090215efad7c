package main

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge"
)

// watch asks the parent to watch a PID.
type watch struct{ pid *actor.PID }

// spawn starts a parent with a supervisor strategy, which has the prompter as its child and watches peers. Both report to events.
func spawn(system *actor.ActorSystem, b *bridge.Bridge, events chan<- any) (*actor.PID, error) {
	prompter := actor.PropsFromFunc(func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *actor.Restarting:
			events <- m
		case *bridge.Message:
			if string(m.Frame(0)) == "what?" {
				panic("the prompter has lost its place")
			}
			ctx.Respond("welcome, " + m.Identity)
			events <- m
		}
	})
	started := make(chan error, 1)
	parent := system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *actor.Started:
			// Peers reach the prompter under this name.
			started <- b.Register("prompter", ctx.Spawn(prompter))
		case watch:
			ctx.Watch(m.pid)
			events <- m
		case *actor.Terminated:
			events <- m
		}
	}, actor.WithSupervisor(actor.NewOneForOneStrategy(3, time.Minute, func(any) actor.Directive { return actor.RestartDirective }))))
	return parent, <-started
}
