package actors

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/supervision"
)

// workerActor is one worker's connection.
type workerActor struct {
	house  *House
	worker *machine.Worker
	timer  Timer
	// What the worker has said before this actor was up comes by way of the broker's actor, with settled behind it; what it says directly is held so long.
	settled bool
	held    []any
}

type (
	settled struct{}
	// relayed is a message by way of the broker's actor.
	relay struct{ msg *wire.Message }
)

// relayed marks a message that goes by way of the broker's actor, and makes its bytes last.
func relayed(event any) any {
	if m, ok := event.(*wire.Message); ok {
		return &relay{m.Copy()}
	}
	return event
}

// report carries what a worker's machine says to its broker.
type report struct{ event any }

// Receive is the engine's.
func (a *workerActor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *wire.Message, *wire.PeerGone:
		if !a.settled {
			a.held = append(a.held, kept(m))
			return
		}
		a.heard(ctx, m)
	case *relay:
		a.heard(ctx, m.msg)
	case *settled:
		a.settled = true
		for _, m := range a.held {
			a.heard(ctx, m)
		}
		a.held = nil
	default:
		a.rare(ctx)
	}
}

// heard takes what the connection says.
func (a *workerActor) heard(ctx actor.Context, event any) {
	h := a.house
	switch m := event.(type) {
	case *wire.Message:
		a.run(ctx, a.worker.Message(h.now(), m, h.take()))
	case *wire.PeerGone:
		a.run(ctx, a.worker.Lose(h.now(), m, h.take()))
	}
}

func (a *workerActor) rare(ctx actor.Context) {
	h := a.house
	switch m := ctx.Message().(type) {
	case *machine.Challenge:
		a.run(ctx, a.worker.Challenge(h.now(), m, h.take()))
	case *tick:
		a.run(ctx, a.worker.Tick(h.now(), h.take()))
	case *actor.Started:
		a.timer = h.ports.NewTimer(ctx.Self(), &tick{})
		h.ports.Peers.Attach(a.worker.Peer, ctx.Self())
		ctx.Send(h.broker, &workerUp{a.worker, ctx.Self()})
	case *dismiss:
		supervision.Exit(ctx, supervision.Normal{})
	case *actor.Stopping:
		a.timer.Stop()
	case Fault:
		panic(m.Text)
	}
}

func (a *workerActor) run(ctx actor.Context, fx []machine.Effect) {
	for i := range fx {
		e := &fx[i]
		switch e.Kind {
		case machine.Send:
			a.house.send(e)
		case machine.Report:
			ctx.Send(a.house.broker, &report{e.Event})
		case machine.HangUp:
			a.house.ports.Peers.HangUp(e.To, "replaced", e.Text)
		case machine.Count:
			a.house.count(e.Status)
		default:
			panic(fmt.Sprintf("actors: a worker has no effect of kind %d", e.Kind))
		}
	}
	a.house.give(fx)
	if at := a.worker.Deadline(); at > 0 {
		a.timer.Set(at)
	} else {
		a.timer.Stop()
	}
}
