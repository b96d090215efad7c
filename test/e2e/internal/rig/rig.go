// Package rig is what the end-to-end tests share: sites with brokers, workers and clients on every transport, processes made from the test binary
// itself, and raw peers that speak whatever a test wants.
package rig

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
		require.FailNow(t, "waited in vain", "for %s", what)
		panic("not reached")
	}
}

// Until waits until cond holds, for what announces itself by no event: counters, listings, /proc.
func Until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	limit := time.After(Patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-limit:
			require.FailNow(t, "waited in vain", "until %s", what)
		}
	}
}

// Logger returns a logger whose lines are shown when the test fails.
func Logger(t testing.TB) *slog.Logger {
	w := &pages{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("\n" + w.String())
		}
	})
	return slog.New(slog.NewTextHandler(w, nil))
}

// pages is a buffer with a lock; what is beyond its limit is dropped.
type pages struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write is io.Writer's.
func (p *pages) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.buf.Len() < 1<<16 {
		p.buf.Write(b)
	}
	return len(b), nil
}

// String returns what was written.
func (p *pages) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf.String()
}
