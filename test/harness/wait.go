package harness

import (
	"context"
	"testing"
	"time"
)

// Patience bounds every wait. It is a safety net: no test measures time by it.
const Patience = 30 * time.Second

// Context returns a context that ends with the test, or when its patience does.
func Context(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	t.Cleanup(cancel)
	return ctx
}

// Receive takes one value from a channel, or fails the test.
func Receive[T any](t testing.TB, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(Patience):
		t.Fatalf("waited in vain for %s", what)
		panic("not reached")
	}
}

// Until waits until cond holds, for what announces itself by no event: counters, listings, /proc.
func Until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	if !wait(t.Context(), cond) {
		t.Fatalf("waited in vain until %s", what)
	}
}

// wait looks again and again, and reports whether cond came to hold in time.
func wait(ctx context.Context, cond func() bool) bool {
	limit := time.NewTimer(Patience)
	defer limit.Stop()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for !cond() {
		select {
		case <-look.C:
		case <-limit.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}
