package supervision

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Tree is a running root supervisor. All methods are goroutine-safe; none may
// be called from within an actor of the tree, which would wait for itself:
// actors use the messages.
type Tree struct {
	system *actor.ActorSystem
	pid    *actor.PID
	root   *supervisor
	port   *port
	clock  Clock
	bell   chan struct{} // port has something
	done   chan struct{}
	turn   chan struct{} // holds a token while nobody waits in Stop
	finish sync.Once
	reason Reason // set before done is closed

	// Of who holds the turn: when the root must have ended or said that it
	// needs longer, and how long that was.
	until    time.Time
	patience time.Duration
}

// stopAlways is the strategy above all roots. It is one value, because
// protoactor keeps a guardian for each strategy for ever, and it never
// escalates, because that would end the process.
var stopAlways actor.SupervisorStrategy = rootStrategy{}

type rootStrategy struct{}

// HandleFailure implements actor.SupervisorStrategy.
func (rootStrategy) HandleFailure(system *actor.ActorSystem, sv actor.Supervisor, who *actor.PID,
	_ *actor.RestartStatistics, reason, _ any,
) {
	system.Logger().Error("root supervisor failed and is stopped", "pid", who.Id, "reason", reason)
	sv.StopChildren(who)
}

// Start starts a tree and returns when all its children have reported their
// start. If one fails, or ctx ends before, what has started is stopped in
// order and the error says which child it was.
func Start(ctx context.Context, system *actor.ActorSystem, spec Spec) (*Tree, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	t := newTree(system, spec)
	root := &guard{inner: t.root, up: t.port}
	props := actor.PropsFromProducer(root.actor, append(spec.Options[:len(spec.Options):len(spec.Options)],
		actor.WithGuardian(stopAlways))...)
	name := spec.Name
	if name == "" {
		name = "supervisor"
	}
	pid, err := system.Root.SpawnNamed(props, name+system.ProcessRegistry.NextId())
	if err != nil {
		return nil, fmt.Errorf("supervision: spawn root %s: %w", name, err)
	}
	t.pid = pid
	if err := t.awaitStart(ctx); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Tree) awaitStart(ctx context.Context) error {
	for {
		select {
		case <-t.bell:
			for _, item := range t.port.take() {
				if _, ok := item.(up); ok {
					return nil
				}
			}
		case <-t.done:
			return fmt.Errorf("supervision: start tree %s: %w", t.pid.Id, t.reason)
		case <-ctx.Done():
			late := strings.Join(t.root.report.awaited(), ", ")
			stopped := t.Stop(context.WithoutCancel(ctx)) // bounded by the deadlines
			return errors.Join(fmt.Errorf("supervision: start tree %s: no start reported by %s: %w",
				t.pid.Id, late, ctx.Err()), stopped)
		}
	}
}

func newTree(system *actor.ActorSystem, spec Spec) *Tree {
	t := &Tree{
		system: system,
		root:   newSupervisor(spec),
		bell:   make(chan struct{}, 1),
		done:   make(chan struct{}),
		turn:   make(chan struct{}, 1),
		clock:  spec.Clock.orDefault(),
	}
	t.turn <- struct{}{}
	t.port = newPort(t.ring)
	t.root.parent = t.port
	t.root.onEnd = func() { t.end(t.root.guard.reason) } // on the root's goroutine
	return t
}

func (t *Tree) ring() {
	select {
	case t.bell <- struct{}{}:
	default:
	}
}

func (t *Tree) end(reason Reason) {
	t.finish.Do(func() {
		if reason == nil {
			reason = Shutdown{}
		}
		t.reason = reason
		t.port.close()
		close(t.done)
	})
}
