package host

import (
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
)

var (
	// ErrMailboxFull is matched by the error of a message that found the mailbox at its limit. Try again later, send
	// less, or raise MailboxConfig.Capacity.
	ErrMailboxFull = errors.New("mailbox is full")
	// ErrStopped is matched by the error of a message whose actor has stopped or never existed.
	ErrStopped = errors.New("actor has stopped")
	// ErrForeignMailbox is matched by the error of TrySend and BoxOf when the actor has a mailbox of another kind.
	ErrForeignMailbox = errors.New("actor has no mailbox of package host")
)

var errStoppedWith = fmt.Errorf("host: %w before it could handle the message: "+
	"send to its successor, or treat the message as not delivered", ErrStopped)

// FullError says how full the mailbox was. It matches ErrMailboxFull.
type FullError struct {
	Length int // user messages waiting
	Limit  int // MailboxConfig.Capacity
}

// Error gives length, limit and remedy.
func (e *FullError) Error() string {
	return fmt.Sprintf("host: %v: %d user messages wait and the limit is %d: try again later or raise "+
		"MailboxConfig.Capacity", ErrMailboxFull, e.Length, e.Limit)
}

// Is makes errors.Is(err, ErrMailboxFull) true.
func (e *FullError) Is(target error) bool { return target == ErrMailboxFull }

// refusal says why a user message cannot be queued now, or nil. The lock is held. The engine's own messages (the
// poison pill) pass the limit: an actor that is too busy must still be stoppable. So does everything that arrives
// before the engine has said whose mailbox this is, unless there is a hook: nobody could be told of a rejection.
func (b *Box) refusal(message any) error {
	if b.closed {
		return errStoppedWith
	}
	length := b.user.length()
	if length < b.cfg.Capacity {
		return nil
	}
	if b.invoker == nil && b.cfg.OnReject == nil {
		return nil
	}
	if _, ok := message.(actor.AutoReceiveMessage); ok {
		return nil
	}
	return &FullError{Length: length, Limit: b.cfg.Capacity}
}

// tell passes a rejected message on: to the hook, or else to the dead letters.
func (b *Box) tell(message any, reason error) {
	b.mu.Lock()
	who, known := b.invoker.(resident)
	b.mu.Unlock()
	switch {
	case b.cfg.OnReject != nil && known:
		b.cfg.OnReject(who.Self(), message, reason)
	case b.cfg.OnReject != nil:
		b.cfg.OnReject(nil, message, reason)
	case known:
		who.ActorSystem().DeadLetter.SendUserMessage(who.Self(), owned(message))
	}
}
