// Package rig is what the end-to-end tests share: sites with brokers, workers and clients on every transport, processes made from the test binary
// itself, and raw peers that speak whatever a test wants. What users can use, too, is package harness.
package rig

import (
	"context"
	"log/slog"
	"testing"

	"github.com/troupe-mq/troupe/test/harness"
)

// Patience bounds every wait. It is a safety net: no test measures time by it.
const Patience = harness.Patience

// Context returns a context that ends with the test, or when its patience does.
func Context(t testing.TB) context.Context { t.Helper(); return harness.Context(t) }

// Receive takes one value from a channel, or fails the test.
func Receive[T any](t testing.TB, from <-chan T, what string) T {
	t.Helper()
	return harness.Receive(t, from, what)
}

// Until waits until cond holds, for what announces itself by no event: counters, listings, /proc.
func Until(t testing.TB, what string, cond func() bool) { t.Helper(); harness.Until(t, what, cond) }

// Logger returns a logger whose lines are shown when the test fails.
func Logger(t testing.TB) *slog.Logger { return harness.Logger(t, "a part of the test") }
