package restart

import (
	"errors"
	"fmt"
	"time"
)

// The defaults of Backoff's zero value.
const (
	DefaultMin = 100 * time.Millisecond
	DefaultMax = 30 * time.Second
)

// Backoff spreads restarts in time: exponential with full jitter, that is a
// uniform choice between nothing and min(Max, Min * 2^attempt). See Marc
// Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
//
// A zero Min means DefaultMin, a zero Max means DefaultMax (or Min, if that
// is larger).
type Backoff struct {
	Min, Max time.Duration
}

// OrDefault returns b with the defaults filled in.
func (b Backoff) OrDefault() Backoff {
	if b.Min == 0 {
		b.Min = DefaultMin
		if b.Max > 0 {
			b.Min = min(b.Min, b.Max)
		}
	}
	if b.Max == 0 {
		b.Max = max(DefaultMax, b.Min)
	}
	return b
}

// Validate reports the first field that makes no sense.
func (b Backoff) Validate() error {
	switch {
	case b.Min < 0:
		return fmt.Errorf("Min is %v, but a delay cannot be negative: use 1ns for none", b.Min)
	case b.Max < 0:
		return fmt.Errorf("Max is %v, but a delay cannot be negative: leave it zero for %v", b.Max, DefaultMax)
	case b.Max > 0 && b.Min > b.Max:
		return errors.New("Min is larger than Max: swap them or leave Max zero")
	}
	return nil
}

// Ceiling returns the longest delay before restart number attempt, counted
// from zero.
func (b Backoff) Ceiling(attempt int) time.Duration {
	b = b.OrDefault()
	d := b.Min
	for ; attempt > 0 && d < b.Max; attempt-- {
		if d > b.Max/2 {
			return b.Max // doubling would pass Max, or overflow
		}
		d *= 2
	}
	return min(d, b.Max)
}

// Delay returns the delay before restart number attempt, counted from zero.
// random is a uniform choice from [0, 1).
func (b Backoff) Delay(attempt int, random float64) time.Duration {
	return time.Duration(random * float64(b.Ceiling(attempt)))
}
