package supervision

import (
	"runtime/debug"

	"github.com/asynkron/protoactor-go/actor"
)

// guard stands between protoactor and the actor of a child. It keeps the
// reason of the child's end, announces its start, and lets no panic pass once
// the child is stopping: protoactor would restart a child that panics in
// *actor.Stopping, and never report one that panics in *actor.Stopped.
//
// Each field has one owner, so no lock is needed: reason and stopping belong
// to the child until its *actor.Terminated has reached the supervisor, pid
// belongs to the supervisor, the others never change.
type guard struct {
	inner    actor.Actor
	reason   Reason
	pid      *actor.PID
	up       *port // hears of the start; nil if nobody waits for it
	fence    *fence
	stopping bool
}

// strategist is the guard of an actor that decides about its own children.
type strategist struct {
	*guard
	actor.SupervisorStrategy
}

// actor returns what protoactor gets to see.
func (g *guard) actor() actor.Actor {
	if s, ok := g.inner.(actor.SupervisorStrategy); ok {
		return &strategist{g, s}
	}
	return g
}

func guardOf(ctx actor.Context) *guard {
	switch a := ctx.Actor().(type) {
	case *guard:
		return a
	case *strategist:
		return a.guard
	}
	return nil
}

// Exit ends the calling actor after the present message, with reason as what
// its supervisor and its watchers hear; nil means Normal. It may only be
// called from within the actor's Receive. Outside of a supervision tree it
// only stops the actor.
func Exit(ctx actor.Context, reason Reason) {
	if reason == nil {
		reason = Normal{}
	}
	if g := guardOf(ctx); g != nil {
		g.reason = reason
	}
	ctx.Stop(ctx.Self())
}

// Receive implements actor.Actor. All but the four life-cycle messages go
// straight to the actor.
func (g *guard) Receive(ctx actor.Context) {
	switch ctx.Message().(type) {
	case *actor.Started:
		g.start(ctx)
	case *actor.Stopping:
		g.stopping = true
		g.quietly(ctx)
	case *actor.Stopped:
		g.quietly(ctx)
		stopNewborn(ctx, 0)
	default:
		if g.stopping {
			g.late(ctx)
			return
		}
		g.loudly(ctx)
	}
}

func (g *guard) start(ctx actor.Context) {
	g.loudly(ctx)
	if _, ok := g.inner.(*supervisor); ok {
		return // it announces itself when its children are up
	}
	g.announce()
}

func (g *guard) announce() {
	if g.up != nil && !abnormal(g.reason) {
		g.up.post(up{g})
	}
}

// loudly lets a panic pass on to protoactor, which suspends the actor and asks
// the supervisor; but first it keeps the stack, which is lost there.
func (g *guard) loudly(ctx actor.Context) {
	defer g.fault()
	if g.fence != nil {
		g.fence.pass(g.inner, ctx)
		return
	}
	g.inner.Receive(ctx)
}

func (g *guard) fault() {
	if v := recover(); v != nil {
		p := Panic{Value: v, Stack: debug.Stack()}
		g.reason = p
		panic(p)
	}
}

// quietly is for an actor that is stopping already: a panic becomes its reason
// and nothing else.
func (g *guard) quietly(ctx actor.Context) {
	defer g.swallow()
	if g.fence != nil {
		g.fence.pass(g.inner, ctx)
		return
	}
	g.inner.Receive(ctx)
}

func (g *guard) swallow() {
	if v := recover(); v != nil && !abnormal(g.reason) {
		g.reason = Panic{Value: v, Stack: debug.Stack()}
	}
}

// late handles what comes while the actor waits for its own children to end.
// Only their end still matters to it; the rest become dead letters, because a
// child spawned now would never be told to stop.
func (g *guard) late(ctx actor.Context) {
	if _, ok := g.inner.(*supervisor); ok {
		g.quietly(ctx)
		return
	}
	if _, ok := ctx.Message().(*actor.Terminated); ok {
		before := len(ctx.Children())
		g.quietly(ctx)
		stopNewborn(ctx, before)
		return
	}
	deadLetter(ctx)
}

// stopNewborn stops the children an actor has spawned too late for protoactor
// to stop them: those beyond the first old.
func stopNewborn(ctx actor.Context, old int) {
	if children := ctx.Children(); len(children) > old {
		for _, pid := range children[old:] {
			ctx.Stop(pid)
		}
	}
}

func deadLetter(ctx actor.Context) {
	msg := ctx.Message()
	if sender := ctx.Sender(); sender != nil {
		msg = &actor.MessageEnvelope{Message: msg, Sender: sender}
	}
	ctx.ActorSystem().DeadLetter.SendUserMessage(ctx.Self(), msg)
}
