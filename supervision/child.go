package supervision

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// State is where a child is in its life.
type State string

// The states of a child.
const (
	StateStarting State = "starting" // spawned, has not reported its start
	StateRunning  State = "running"
	StateWaiting  State = "waiting" // ended, to be started again after its back-off
	StateStopping State = "stopping"
)

// child is the record of a child that may be restarted, or that has something
// of its own (options, a deadline). Small temporary children have only a guard.
type child struct {
	spec     ChildSpec
	guard    *guard // nil while there is no incarnation
	state    State
	due      time.Time      // when waiting: the time of the restart
	since    time.Time      // when running: since when
	attempt  int            // restarts since it last ran for a whole window
	restarts int            // restarts in all
	last     Reason         // of the last end, nil before
	first    any            // message for the first incarnation
	answer   func(*Started) // of the first start, nil afterwards
	part     part           // in the restart of several children
}

// stopping is an order to stop one child.
type stopping struct {
	by      time.Time
	after   time.Duration // what by was computed from, for the reports
	extends bool          // the child may ask for more time
	answers []func(*ChildStopped)
}

func (c *child) pid() *actor.PID {
	if c.guard == nil {
		return nil
	}
	return c.guard.pid
}

// awaits reports whether the child waits for a restart of its own.
func (c *child) awaits() bool { return c.state == StateWaiting && c.guard == nil && c.part == none }
