package supervision

import (
	"runtime"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// fence stands between an actor that is watched and its context. When the
// actor is given up the fence closes, and nothing passes any more.
type fence struct {
	unwatch func() // owned by the supervisor; nil: nobody looks
	ctx     fenced // owned by the actor

	mu       sync.Mutex
	closed   bool
	inside   bool
	returned func() // of a zombie: to be called when it is back
}

// pass lets the actor handle a message. A stack is found by it: see StackOf.
//
//go:noinline
func (f *fence) pass(inner actor.Actor, ctx actor.Context) {
	f.mu.Lock()
	f.inside = true
	f.mu.Unlock()
	defer f.leave()
	f.ctx = fenced{Context: ctx, fence: f}
	inner.Receive(&f.ctx)
	runtime.KeepAlive(f)
}

func (f *fence) leave() {
	f.mu.Lock()
	f.inside = false
	returned := f.returned
	f.returned = nil
	f.mu.Unlock()
	if returned != nil {
		returned()
	}
}

// close lets nothing pass from now on; w counts the zombie until it is back.
func (f *fence) close(w *Watchdog, path string) {
	f.drop()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	f.closed = true
	if f.inside && w != nil {
		f.returned = w.Abandoned(path)
	}
}

// drop ends the watch of a child that has ended.
func (f *fence) drop() {
	if f.unwatch != nil {
		f.unwatch()
		f.unwatch = nil
	}
}

// open reports whether what the actor says may pass.
func (f *fence) open() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.closed
}

// fenced is the context of an actor that is watched: what it says once it was
// given up goes to the dead letters.
type fenced struct {
	actor.Context
	fence *fence
}

func (c *fenced) dead(message any) { c.ActorSystem().DeadLetter.SendUserMessage(c.Self(), message) }

// Send implements actor.Context.
func (c *fenced) Send(pid *actor.PID, message any) {
	if c.fence.open() {
		c.Context.Send(pid, message)
	} else {
		c.dead(message)
	}
}

// Request implements actor.Context.
func (c *fenced) Request(pid *actor.PID, message any) {
	if c.fence.open() {
		c.Context.Request(pid, message)
	} else {
		c.dead(message)
	}
}

// RequestWithCustomSender implements actor.Context.
func (c *fenced) RequestWithCustomSender(pid *actor.PID, message any, sender *actor.PID) {
	if c.fence.open() {
		c.Context.RequestWithCustomSender(pid, message, sender)
	} else {
		c.dead(message)
	}
}

// RequestFuture implements actor.Context.
func (c *fenced) RequestFuture(pid *actor.PID, message any, timeout time.Duration) *actor.Future {
	if c.fence.open() {
		return c.Context.RequestFuture(pid, message, timeout)
	}
	return c.Context.RequestFuture(actor.NewPID(pid.Address, pid.Id+"/fenced"), message, timeout) // nobody has this name
}

// Respond implements actor.Context.
func (c *fenced) Respond(message any) {
	if c.fence.open() {
		c.Context.Respond(message)
	} else {
		c.dead(message)
	}
}

// Forward implements actor.Context.
func (c *fenced) Forward(pid *actor.PID) {
	if c.fence.open() {
		c.Context.Forward(pid)
	} else {
		c.dead(c.Message())
	}
}
