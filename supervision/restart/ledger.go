package restart

import (
	"errors"
	"fmt"
	"time"
)

// The defaults of Intensity's zero value: more than five restarts within ten
// seconds are too many.
const (
	DefaultRestarts = 5
	DefaultWindow   = 10 * time.Second
)

// Intensity bounds how often one supervisor may restart its children, all of
// them counted together: at most Restarts within Window.
//
// The zero value means DefaultRestarts within DefaultWindow. With a Window
// but no Restarts the very first restart is already too many, so such a
// supervisor never restarts anything and ends instead.
type Intensity struct {
	Restarts int
	Window   time.Duration
}

// OrDefault returns i, or the defaults if i is the zero value.
func (i Intensity) OrDefault() Intensity {
	if i == (Intensity{}) {
		return Intensity{Restarts: DefaultRestarts, Window: DefaultWindow}
	}
	return i
}

// Validate reports the first field that makes no sense.
func (i Intensity) Validate() error {
	switch {
	case i == Intensity{}:
		return nil
	case i.Restarts < 0:
		return fmt.Errorf("Restarts is %d, but a count cannot be negative: use 0 for no restart at all", i.Restarts)
	case i.Window <= 0:
		return errors.New("Window must be positive when Restarts is set: say within what time the restarts are counted")
	}
	return nil
}

// Ledger remembers the restarts of one supervisor that still count. It holds
// at most Restarts+1 instants. It is not safe for concurrent use.
type Ledger struct {
	limit Intensity
	times []time.Time // oldest first
}

// NewLedger returns an empty ledger that counts against limit, or against the
// defaults if limit is zero.
func NewLedger(limit Intensity) Ledger { return Ledger{limit: limit.OrDefault()} }

// Limit returns the intensity the ledger counts against.
func (l *Ledger) Limit() Intensity { return l.limit }

// Record enters a restart at now and reports whether it is still allowed. An
// instant that lies a whole Window back does not count any more. Instants
// must not go backwards.
func (l *Ledger) Record(now time.Time) bool {
	l.prune(now)
	l.times = append(l.times, now)
	if len(l.times) <= l.limit.Restarts {
		return true
	}
	l.times = l.times[1:] // the ledger stays bounded even if its owner goes on
	return false
}

// Count returns how many recorded restarts count at now.
func (l *Ledger) Count(now time.Time) int {
	l.prune(now)
	return len(l.times)
}

func (l *Ledger) prune(now time.Time) {
	keep := 0
	for keep < len(l.times) && now.Sub(l.times[keep]) >= l.limit.Window {
		keep++
	}
	l.times = append(l.times[:0], l.times[keep:]...)
}
