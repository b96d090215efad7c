package keeper

import (
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/supervision/restart"
)

// Rules say how a child is kept. The zero value starts it again whatever it ended with, with OTP's limits, and judges it by nothing but its end.
type Rules struct {
	Restart   restart.Type      // after which ends it is started again; an exit status of 0 is a normal end, everything else is not
	Intensity restart.Intensity // how often it may be started again
	Backoff   restart.Backoff   // how long that waits
	// Frozen is how long the child may stand still (SIGSTOP, a full freezer) before it is killed; 0: for ever.
	Frozen time.Duration
	// Pulse is how long a child that has given a pulse may give none, although it runs, before it is ended; 0: for ever. The child may ask for longer.
	Pulse time.Duration
	// Grace is how long a child may take to end that was told so a second time, or by SIGABRT, before it is killed.
	Grace time.Duration
	// AtOnce are exit codes after which the child is started again without a back-off: it has ended itself so that it is.
	AtOnce []int
	// Final are exit codes after which another start would change nothing.
	Final []int
}

// Validate reports the first field that makes no sense.
func (r *Rules) Validate() error {
	if !r.Restart.Valid() {
		return fmt.Errorf("keeper: Rules.Restart is %v: use permanent, transient or temporary", r.Restart)
	}
	if err := r.Intensity.Validate(); err != nil {
		return fmt.Errorf("keeper: Rules.Intensity: %w", err)
	}
	if err := r.Backoff.Validate(); err != nil {
		return fmt.Errorf("keeper: Rules.Backoff: %w", err)
	}
	if r.Frozen < 0 || r.Pulse < 0 || r.Grace < 0 {
		return fmt.Errorf("keeper: Rules: Frozen is %v, Pulse %v, Grace %v: none may be negative; 0 for Frozen and Pulse means for ever", r.Frozen, r.Pulse, r.Grace)
	}
	return nil
}

// shortest returns the shorter limit of those that are set, 0 if there is none.
func (r *Rules) shortest() time.Duration {
	if r.Frozen == 0 || r.Pulse > 0 && r.Pulse < r.Frozen {
		return r.Pulse
	}
	return r.Frozen
}
