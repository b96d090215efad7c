package actors

import (
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/actors/host"
	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/supervision"
)

// hitActor is one hit: every message of the session passes through it, both ways.
//
// When its hit is over it may serve another one, which saves a spawn and a stop. Nothing of one hit reaches the next: the handle is unbound
// first, so that all messages of the old hit lie before the begin of the new one in the mailbox.
type hitActor struct {
	house *House
	hit   *machine.Hit // nil between two hits
	box   actor.Mailbox
}

// begin hands the actor a hit, and the OPEN it was made for. The message is retained by the sender of begin.
type begin struct {
	hit *machine.Hit
	msg *wire.Message
	arg uint32
}

// Fault makes the actor that receives it panic. It exists for tests of what a crash does; nothing on the wire becomes one.
type Fault struct{ Text string }

// Receive is the engine's.
func (a *hitActor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *wire.Message:
		if a.hit == nil {
			ctx.Send(a.house.broker, m) // late: the broker says so
			return
		}
		a.run(ctx, a.hit.Message(a.house.now(), m, a.house.take()))
	case *begin:
		a.begin(ctx, m)
	default:
		a.rare(ctx)
	}
}

func (a *hitActor) begin(ctx actor.Context, m *begin) {
	defer m.msg.Release()
	a.hit = m.hit
	a.house.ports.Directory.Bind(a.hit.Handle, ctx.Self(), a.mailbox(ctx))
	a.run(ctx, a.hit.Begin(a.house.now(), m.msg, m.arg, a.house.take()))
}

// mailbox returns the actor's own, nil if it is a foreign one.
func (a *hitActor) mailbox(ctx actor.Context) actor.Mailbox {
	if a.box == nil {
		if box, err := host.BoxOf(ctx.ActorSystem(), ctx.Self()); err == nil {
			a.box = box
		}
	}
	return a.box
}

func (a *hitActor) rare(ctx actor.Context) {
	if a.hit == nil {
		return
	}
	switch m := ctx.Message().(type) {
	case *machine.Lost:
		a.run(ctx, a.hit.Lose(a.house.now(), m, a.house.take()))
	case *machine.LeaseOver:
		a.run(ctx, a.hit.Judge(a.house.now(), a.house.take()))
	case *machine.Stuck:
		a.run(ctx, a.hit.Overdue(a.house.now(), m, a.house.take()))
	case *machine.Moved:
		a.run(ctx, a.hit.Moved(a.house.now(), m, a.house.take()))
	case *machine.Unmoved:
		a.run(ctx, a.hit.Unmoved(a.house.now(), a.house.take()))
	case *machine.Kill:
		a.run(ctx, a.hit.Kill(a.house.now(), m, a.house.take()))
	case *actor.Stopping:
		a.house.fall(ctx.Self(), a.hit.Handle)
		a.house.ports.Directory.Bind(a.hit.Handle, nil, nil)
	case Fault:
		panic(m.Text)
	}
}

// rest ends the hit: the actor waits for another one, or is done.
func (a *hitActor) rest(ctx actor.Context, e *machine.Effect) {
	h := a.house
	h.ports.Directory.Bind(a.hit.Handle, nil, nil)
	ctx.Send(h.broker, &hitOver{e.Hit, e.Status})
	a.hit = nil
	if len(h.resting) < maxResting {
		h.resting = append(h.resting, ctx.Self())
		return
	}
	supervision.Exit(ctx, supervision.Normal{})
}

// maxResting is how many actors without a hit are kept.
const maxResting = 1024

func (a *hitActor) run(ctx actor.Context, fx []machine.Effect) {
	for i := 0; i < len(fx); i++ {
		e := &fx[i]
		switch e.Kind {
		case machine.Send:
			a.house.send(e)
		case machine.Forward:
			if e.Header.Type == wire.Call && e.To != a.hit.Worker {
				continue // the hit has left it over what came before
			}
			if err := a.house.ports.Outbox.Forward(e.To, e.Header, e.Msg); err != nil {
				fx = a.undelivered(e, err, fx)
			}
		case machine.Over:
			a.rest(ctx, e)
		case machine.Report:
			ctx.Send(a.house.broker, &report{e.Event})
		case machine.Count:
			a.house.count(e.Status)
		default:
			panic(fmt.Sprintf("actors: a hit has no effect of kind %d", e.Kind))
		}
	}
	a.house.give(fx)
}

// undelivered tells the machine that a call did not reach the worker. What does not reach the client is told by the loss of its connection.
func (a *hitActor) undelivered(e *machine.Effect, err error, fx []machine.Effect) []machine.Effect {
	if e.To != a.hit.Worker || (e.Header.Type != wire.Call && e.Header.Type != wire.Begin && e.Header.Type != wire.Part) {
		return fx
	}
	u := machine.Undelivered{Msg: e.Msg, Status: wire.WorkerGone, Cause: err}
	if errors.Is(err, wire.ErrPeerSlow) {
		u.Status = wire.PeerSlow
	}
	return a.hit.Undeliver(u, fx)
}
