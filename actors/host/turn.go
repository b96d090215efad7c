package host

import (
	"log/slog"
	"runtime/debug"

	"github.com/asynkron/protoactor-go/actor"
)

// resident is what the engine's actor context offers beyond actor.MessageInvoker, and what a mailbox needs to know
// whose it is.
type resident interface {
	Self() *actor.PID
	ActorSystem() *actor.ActorSystem
}

// step is what a turn does next.
type step uint8

const (
	rest         step = iota // nothing to do: the mailbox is idle now
	yield                    // the throughput is used up, messages remain
	handleSystem             // hand a system message to the engine
	handleUser               // hand a user message to the engine
	rejectUser               // the actor has stopped: pass a user message on
)

// turn handles messages until there are none or the dispatcher's throughput is used up. At most one turn per mailbox
// is scheduled or running at any time.
func (b *Box) turn() { b.work(nil) }

// Deliver hands a user message to the actor here and now, and reports true, if nothing waits before it and the actor lives on
// the given dispatcher, whose goroutine the caller must be on, outside of any turn. Else nothing has happened: post it. The
// caller holds the message's lease until Deliver returns.
//
// It saves a message the way through both queues, the mailbox's and the dispatcher's, and the actor a second visit to memory
// that has left the cache between the two. Order is kept, since only an idle mailbox delivers.
func (b *Box) Deliver(on actor.Dispatcher, message any) bool {
	b.mu.Lock()
	if b.phase != idle || b.dispatcher != on || b.suspended || b.closed {
		b.mu.Unlock()
		return false
	}
	b.phase = scheduled
	b.handled++
	b.stamped(message)
	b.mu.Unlock()
	b.work(message)
	return true
}

// work handles the message it is given, if any, and those that wait.
func (b *Box) work(message any) {
	delivered, returned := message != nil, false
	defer func() {
		if !returned {
			b.failed(recover(), message, delivered)
		}
	}()
	if delivered {
		b.invoker.InvokeUserMessage(message)
		delivered = false
	}
	for budget := max(1, b.dispatcher.Throughput()); ; budget-- {
		var what step
		message, what = b.next(budget)
		switch what {
		case handleUser:
			b.invoker.InvokeUserMessage(message)
			letGo(message)
		case handleSystem:
			b.invokeSystem(message)
		case rejectUser:
			b.tell(message, errStoppedWith)
			letGo(message)
		default:
			returned = true
			if what == yield {
				b.dispatcher.Schedule(b.turnFunc)
			}
			return
		}
	}
}

// next ends the previous message and takes another one, or decides that the turn is over. Becoming idle and finding
// the queues empty happen under one lock, so that no message is left behind.
func (b *Box) next(budget int) (any, step) {
	b.mu.Lock()
	message, what := b.choose(budget)
	b.mu.Unlock()
	return message, what
}

// choose is next with the lock held.
func (b *Box) choose(budget int) (any, step) {
	b.current = nil
	if !b.runnable() {
		b.phase = idle
		b.system.release()
		b.user.release()
		return nil, rest
	}
	if budget <= 0 {
		return nil, yield
	}
	if b.system.length() > 0 {
		return b.stamped(b.system.pop()), handleSystem
	}
	if b.closed {
		b.rejected++
		return b.user.pop(), rejectUser
	}
	b.handled++
	return b.stamped(b.user.pop()), handleUser
}

// stamped notes which message the actor is in, and since when. The lock is held.
func (b *Box) stamped(message any) any {
	if b.cfg.Clock == nil {
		return message
	}
	b.since = b.cfg.Clock()
	b.current = message
	if envelope, ok := message.(*actor.MessageEnvelope); ok {
		b.current = envelope.Message
	}
	return message
}

// invokeSystem hands a message to the engine, or suspends and resumes the user queue.
func (b *Box) invokeSystem(message any) {
	switch message.(type) {
	case *actor.SuspendMailbox:
		b.suspend(true)
		return
	case *actor.ResumeMailbox:
		b.suspend(false)
		return
	case *actor.Stop:
		b.stopping = true
	}
	b.invoker.InvokeSystemMessage(message)
	b.noticeStop()
}

func (b *Box) suspend(suspended bool) {
	b.mu.Lock()
	b.suspended = suspended
	b.mu.Unlock()
}

// noticeStop closes the mailbox once the engine has stopped the actor. The engine tells a mailbox nothing of this, but
// it takes the process out of the registry, and does so only while it handles a system message, in this goroutine.
// The process is compared because another one may have taken the name already.
func (b *Box) noticeStop() {
	if !b.stopping {
		return
	}
	who, ok := b.invoker.(resident)
	if !ok {
		return
	}
	process, found := who.ActorSystem().ProcessRegistry.GetLocal(who.Self().Id)
	if found && process == actor.Process(b.process) {
		return // still waiting for its children
	}
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
}

// failed ends a turn in which a handler panicked or left by runtime.Goexit (value is nil): the supervisor is told,
// with the stack, and the next turn is scheduled. The message is not handled again.
func (b *Box) failed(value, message any, delivered bool) {
	failure := &Panic{Value: value, Stack: debug.Stack()}
	if value == nil {
		failure.Value = errGoexit
	}
	b.noticeStop()
	b.escalate(failure, message)
	if !delivered { // else the lease is the caller's
		letGo(message)
	}
	b.dispatcher.Schedule(b.turnFunc)
}

// escalate asks the supervisor what to do. A supervisor strategy that panics itself (the engine's guardian does when
// it is asked to escalate) would end the process; nobody is left to decide, so the actor is stopped instead.
func (b *Box) escalate(failure *Panic, message any) {
	defer func() {
		value := recover()
		if value == nil {
			return
		}
		who, ok := b.invoker.(resident)
		if !ok {
			panic(value)
		}
		who.ActorSystem().Logger().Error("supervisor panicked while it judged a failure; the actor is stopped",
			slog.String("actor", who.Self().Id), slog.Any("panic", value), slog.Any("failure", failure))
		who.ActorSystem().Root.Stop(who.Self())
	}()
	b.invoker.EscalateFailure(failure, message)
}
