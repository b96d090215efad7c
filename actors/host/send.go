package host

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
)

// visit asks a mailbox to introduce itself. The engine hides the mailbox behind the process, but it hands a user
// message to the mailbox in the sender's goroutine: a Box answers there and queues nothing.
type visit struct{ box *Box }

// IgnoreDeadLetterLogging keeps a visit that met no mailbox out of the log.
func (*visit) IgnoreDeadLetterLogging() {}

// BoxOf returns the mailbox of a local actor. The error matches ErrStopped when there is no such actor (any more),
// and ErrForeignMailbox when it was spawned without host.Mailbox; such an actor receives one unknown message.
func BoxOf(system *actor.ActorSystem, pid *actor.PID) (*Box, error) {
	process, found := system.ProcessRegistry.Get(pid)
	if !found {
		return nil, fmt.Errorf("host: no actor %s is registered, %w: look it up again", name(pid), ErrStopped)
	}
	v := &visit{}
	if _, ok := process.(*actor.ActorProcess); ok {
		process.SendUserMessage(pid, v)
	}
	if v.box == nil {
		return nil, fmt.Errorf("host: %w: spawn %s with actor.WithMailbox(host.Mailbox(...))", ErrForeignMailbox, name(pid))
	}
	return v.box, nil
}

// TrySend queues a message for a local actor, or returns an error that matches ErrMailboxFull or ErrStopped, or
// ErrForeignMailbox. A message that was not queued is the caller's again: no dead letter, no hook. To pass a sender,
// send an *actor.MessageEnvelope.
func TrySend(system *actor.ActorSystem, pid *actor.PID, message any) error {
	box, err := BoxOf(system, pid)
	if err != nil {
		return err
	}
	if err := box.TryPost(message); err != nil {
		return fmt.Errorf("send to %s: %w", name(pid), err)
	}
	return nil
}

func name(pid *actor.PID) string {
	if pid == nil {
		return "(nil PID)"
	}
	return pid.Address + "/" + pid.Id
}
