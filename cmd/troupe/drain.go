package main

import (
	"fmt"
	"time"
)

// drains says what a server waits for.
func (a *app) drains(open int, limit time.Duration) {
	fmt.Fprintf(a.err, "draining: %s open, waiting up to %v; once more (Ctrl-C or SIGTERM) stops at once\n", are(open), limit)
}

func (a *app) drained() { fmt.Fprintln(a.err, "drained: no hit is open any more") }

// leftOpen is the error of a server that stopped while hits were open.
func leftOpen(signals *interrupts, open int, limit time.Duration, told string) error {
	reason := fmt.Sprintf("after %v (--drain)", limit)
	if signals.stop.Err() != nil {
		reason = "at the second signal"
	}
	return incomplete(fmt.Errorf("stopped %s while %s still open: their clients are told %s", reason, are(open), told))
}

// are is "1 hit is" or "3 hits are".
func are(n int) string {
	if n == 1 {
		return "1 hit is"
	}
	return fmt.Sprintf("%d hits are", n)
}
