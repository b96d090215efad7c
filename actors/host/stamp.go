package host

import (
	"reflect"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/supervision"
)

var _ supervision.Stamps = Stamps

// Stamps is the port through which package supervision sees mailboxes (supervision.Spec.Stamps). It returns nil for actors
// that are gone, or have a mailbox from elsewhere; such an actor receives one unknown message.
func Stamps(system *actor.ActorSystem, pid *actor.PID) supervision.Stamper {
	box, err := BoxOf(system, pid)
	if err != nil {
		return nil
	}
	return box
}

// Stamp says what the actor is in, if the mailbox has a clock. It may be called from any goroutine and waits for no handler.
func (b *Box) Stamp() supervision.Stamp {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := supervision.Stamp{Waiting: b.user.length(), Handled: b.handled}
	if b.current != nil {
		s.Message, s.Since = reflect.TypeOf(b.current).String(), b.since
		s.For = time.Duration(b.cfg.Now() - b.since)
	}
	return s
}

// zero is when Monotonic began.
var zero = time.Now()

// Monotonic returns nanoseconds of the process's monotonic clock, for MailboxConfig.Clock where no loop has a cheaper one.
func Monotonic() int64 { return int64(time.Since(zero)) }
