package supervision

import (
	"context"
	"errors"
	"runtime/debug"

	"github.com/asynkron/protoactor-go/actor"
)

// service is the actor of a child that is a plain function.
type service struct {
	serve  func(context.Context) error
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
}

// served tells the actor that the function has returned.
type served struct{ reason Reason }

// A service that is stopped by protoactor itself waits for its function in
// Receive, so it must not block anybody else's goroutine.
var ownGoroutine = actor.WithDispatcher(actor.NewDefaultDispatcher(300))

// Service makes the Start of a ChildSpec out of a function that blocks until
// its context ends. It runs on a goroutine of its own, which the actor owns.
// The end of the child is the end of the function: nil is Normal,
// context.Canceled after the supervisor's order is Shutdown, any other error
// is Error, and a panic is Panic. The child counts as started when the
// goroutine is about to run. Dispatcher options do not apply to a service.
func Service(serve func(context.Context) error) func() actor.Actor {
	return func() actor.Actor {
		ctx, cancel := context.WithCancel(context.Background())
		return &service{serve: serve, ctx: ctx, cancel: cancel, done: make(chan struct{})}
	}
}

// Receive implements actor.Actor.
func (s *service) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		system, self := ctx.ActorSystem(), ctx.Self()
		go func() {
			defer close(s.done)
			system.Root.Send(self, &served{s.run()})
		}()
	case *served:
		Exit(ctx, m.reason)
	case *actor.Stopping:
		s.cancel()
	case *actor.Stopped:
		<-s.done
	}
}

func (s *service) run() (reason Reason) {
	defer func() {
		if v := recover(); v != nil {
			reason = Panic{Value: v, Stack: debug.Stack()}
		}
	}()
	err := s.serve(s.ctx)
	switch {
	case err == nil:
		return Normal{}
	case s.ctx.Err() != nil && errors.Is(err, context.Canceled):
		return Shutdown{}
	}
	return Error{err}
}

func (s *service) askStop() { s.cancel() }
