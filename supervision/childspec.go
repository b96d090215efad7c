package supervision

import (
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/supervision/restart"
)

// DefaultShutdown is how long a child may take to stop if nothing else is
// said.
const DefaultShutdown = 5 * time.Second

// Restart says when a child is started again; the zero value is Permanent.
type Restart = restart.Type

// The three restart types of OTP.
const (
	Permanent = restart.Permanent
	Transient = restart.Transient
	Temporary = restart.Temporary
)

// ChildSpec says how one child is started, restarted and stopped. It is a
// value and may be used for several supervisors.
type ChildSpec struct {
	// ID names the child within its supervisor and must be unique there. The
	// PID of each incarnation is <supervisor>/<ID>-<n>, never used twice.
	ID string

	// Start makes the actor of one incarnation. It runs on the supervisor's
	// goroutine, once per (re)start, and must not block. It hands out a plain
	// actor value, and not Props, because the supervisor has to wrap it: a
	// panic in *actor.Stopping or *actor.Stopped would break protoactor.
	//
	// The child counts as started when it has handled *actor.Started. If it
	// panics there, or calls Exit with an abnormal reason, its start failed.
	Start func() actor.Actor

	// Options gives the options of one incarnation (mailbox, dispatcher, ...),
	// called like Start, so that each incarnation can have a dispatcher of its
	// own. Nil means the supervisor's ChildOptions.
	Options func() []actor.PropsOption

	// Restart says when the child is started again; zero is Permanent.
	Restart Restart

	// Limit is how long the child may be in one message before the supervisor's
	// Watchdog holds it for hung: it is then abandoned, which is an abnormal end
	// (Hung). Zero means the supervisor's ChildLimit. A child that is watched
	// gets a context that sends nothing any more once it is abandoned.
	Limit time.Duration

	// Significant says that the child's own end, if it is not started again,
	// counts for the supervisor's AutoShutdown. As in OTP, a Permanent child
	// cannot be significant.
	Significant bool

	// Shutdown is how long the child may take to stop before it is abandoned.
	// Zero means the supervisor's Shutdown, and for a child that is itself a
	// supervisor: as long as its own children's deadlines allow.
	Shutdown time.Duration

	nested *Spec // of a child made by Supervisor, so that Validate goes down
}

// Validate reports the first field that makes no sense.
func (c ChildSpec) Validate() error {
	switch {
	case c.ID == "":
		return errors.New("child spec: ID is empty: give the child a name that is unique within its supervisor")
	case c.Start == nil:
		return fmt.Errorf("child spec %q: Start is nil: set the function that makes the actor", c.ID)
	case !c.Restart.Valid():
		return fmt.Errorf("child spec %q: Restart is %v: use Permanent, Transient or Temporary", c.ID, c.Restart)
	case c.Significant && c.Restart == Permanent:
		return fmt.Errorf("child spec %q: Significant is set, but Restart is permanent, so that the child never ends for good: "+
			"use Transient or Temporary", c.ID)
	case c.Limit < 0:
		return fmt.Errorf("child spec %q: Limit is %v, but a limit cannot be negative: leave it zero for the supervisor's", c.ID, c.Limit)
	case c.Shutdown < 0:
		return fmt.Errorf("child spec %q: Shutdown is %v, but a deadline cannot be negative: leave it zero for the default",
			c.ID, c.Shutdown)
	}
	if c.nested != nil {
		if err := c.nested.Validate(); err != nil {
			return fmt.Errorf("child spec %q: %w", c.ID, err)
		}
	}
	return nil
}
