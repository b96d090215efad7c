package supervision

import (
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// What the answers of a supervisor can be matched against with errors.Is.
var (
	// ErrDuplicateID refuses a child whose ID is taken.
	ErrDuplicateID = errors.New("a child of this ID exists already: stop it first, or use another ID")
	// ErrNoChild says that no child has the ID.
	ErrNoChild = errors.New("no child of this ID exists")
	// ErrStopping says that the supervisor is stopping or gone.
	ErrStopping = errors.New("the supervisor is stopping or gone: start a new tree")
)

// The messages that a supervisor understands. Whoever sends one gives up the
// right to change it. Answers go to ReplyTo, or else to the sender of an
// actor.Context.Request; with neither there is no answer.
type (
	// StartChild starts a child; the answer is a *Started. First, if not nil,
	// is delivered to the new child right after its *actor.Started.
	StartChild struct {
		Spec    ChildSpec
		First   any
		ReplyTo *actor.PID
	}

	// StartTemporary is the cheap way to start very many temporary children:
	// Actor runs with the supervisor's ChildOptions. The answer is a *Started;
	// if nobody wants one nothing is kept for it.
	StartTemporary struct {
		ID      string
		Actor   actor.Actor
		First   any
		ReplyTo *actor.PID
	}

	// StopChild stops a child, abandons it after its deadline, and forgets its
	// spec; the answer is a *ChildStopped.
	StopChild struct {
		ID      string
		ReplyTo *actor.PID
	}

	// Abandon gives a child up that does not return, as the watchdog does: nobody
	// reaches it any more, and should it come back it ends. Its end is the
	// Reason. An unknown ID is ignored. Who sends it counts the zombie
	// (Watchdog.Abandoned).
	Abandon struct {
		ID     string
		Reason Hung
	}

	// Watch sends the Watcher an *Exited for every end of the child ID, and a
	// *Started for every restart, until the child is forgotten. An unknown ID
	// is answered with an *Exited whose reason is Error{ErrNoChild}.
	//
	// It tells more than actor.Context.Watch: the reason, and also the end of
	// a child that was abandoned.
	Watch struct {
		ID      string
		Watcher *actor.PID
	}

	// Unwatch ends a Watch.
	Unwatch struct {
		ID      string
		Watcher *actor.PID
	}

	// List asks for a *Listing of the supervisor's own children.
	List struct{ ReplyTo *actor.PID }

	// Stop makes a supervisor stop its children in reverse start order and
	// end. (Protoactor's own stop also ends it within the deadlines, but tells
	// all children at once.)
	Stop struct{}
)

// What a supervisor sends.
type (
	// Started answers a start, and tells watchers that a child is running
	// again. If Err is not nil the child did not start, and PID is nil, except
	// with ErrDuplicateID: then it is the PID of the child that has the ID
	// (nil while that one waits for its restart).
	Started struct {
		ID  string
		PID *actor.PID
		Err error
	}

	// ChildStopped answers a StopChild. Err is nil unless the child was
	// abandoned or unknown.
	ChildStopped struct {
		ID     string
		Reason Reason
		Err    error
	}

	// Exited tells watchers of the end of one incarnation. Restarting says
	// that the supervisor is going to start another.
	Exited struct {
		ID         string
		PID        *actor.PID
		Reason     Reason
		Restarting bool
	}

	// Listing answers a List.
	Listing struct{ Children []Status }
)

// What reaches a supervisor through its port only.
type (
	// tick says that the time asked for has come.
	tick struct{}
	// up says that the child behind guard has started.
	up struct{ guard *guard }
	// hung says that the child behind guard does not return.
	hung struct {
		guard  *guard
		reason Hung
	}
	// extend says that the nested supervisor behind guard is stopping and may
	// need as long as by for its next step.
	extend struct {
		guard *guard
		by    time.Duration
	}
	// ask is a message from outside of all actors, and where its answer goes.
	ask struct {
		message any
		answer  func(any)
	}
)
