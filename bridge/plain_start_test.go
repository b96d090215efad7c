package bridge_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/bridge"
)

// plainLog counts warnings and keeps the last error of one.
type plainLog struct {
	slog.Handler
	warnings atomic.Int64
	last     atomic.Value
}

func (l *plainLog) Enabled(context.Context, slog.Level) bool { return true }

func (l *plainLog) Handle(_ context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn {
		return nil
	}
	l.warnings.Add(1)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "error" {
			l.last.Store(a.Value.String())
		}
		return true
	})
	return nil
}

func TestPlainStartRefuses(t *testing.T) {
	defer goleak.VerifyNone(t)
	system := newPlainSystem()
	_, err := bridge.Start(t.Context(), bridge.Config{}, bridge.PlainConfig{Bind: []string{"inproc://x"}})
	require.ErrorContains(t, err, "Config.System is nil")
	_, err = bridge.Start(t.Context(), bridge.Config{System: system}, bridge.PlainConfig{})
	require.ErrorContains(t, err, "PlainConfig.Bind is empty")
	_, err = bridge.Start(t.Context(), bridge.Config{System: system}, bridge.PlainConfig{Bind: []string{"ipc:///nowhere/at/all"}})
	require.ErrorIs(t, err, syscall.ENOENT)
	path := "ipc://" + filepath.Join(t.TempDir(), "s")
	b, err := bridge.Start(t.Context(), bridge.Config{System: system}, bridge.PlainConfig{Bind: []string{path}})
	require.NoError(t, err)
	_, err = bridge.Start(t.Context(), bridge.Config{System: system}, bridge.PlainConfig{Bind: []string{path}})
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	require.NoError(t, b.Close(t.Context()))
}

func TestPlainStartEndsWithItsContext(t *testing.T) {
	defer goleak.VerifyNone(t)
	ctx, cancel := context.WithCancel(t.Context())
	b, err := bridge.Start(ctx, bridge.Config{System: newPlainSystem()}, bridge.PlainConfig{Bind: []string{plainInproc()}})
	require.NoError(t, err)
	over, end := context.WithCancel(t.Context())
	end()
	held, release := make(chan struct{}), make(chan struct{})
	require.True(t, b.Loop().Do(func() { close(held); <-release }))
	plainReceive(t, held, "the loop")
	require.ErrorIs(t, b.Close(over), context.Canceled, "Close waits no longer than it may")
	close(release)
	cancel()
	plainReceive(t, b.Done(), "the bridge to end")
	require.NoError(t, b.Close(t.Context()))
}

// TestPlainLeavesNothingOpen: goroutines are goleak's part, descriptors this one's.
func TestPlainLeavesNothingOpen(t *testing.T) {
	round := func() {
		w := openPlainWorld(t, newPlainSystem(), bridge.Config{}, bridge.PlainConfig{Bind: []string{"tcp://127.0.0.1:0"}})
		peer := w.join("anna")
		w.system.Root.Send(w.b.PID("anna"), "hello")
		peer.recv()
		peer.close()
		w.close()
		require.NoError(t, w.ctx.Term())
	}
	round()
	before := plainDescriptors(t)
	for range 5 {
		round()
	}
	require.Equal(t, before, plainDescriptors(t))
}

func plainDescriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(all)
}

// TestPlainTwoBridges: two endpoints of one system, one loop or two, do not mix up their peers.
func TestPlainTwoBridges(t *testing.T) {
	w := newPlainWorld(t, bridge.Config{}, bridge.PlainConfig{})
	var second *bridge.Plain
	addr := plainInproc()
	w.onLoop(func() {
		var err error
		second, err = w.b.Loop().OpenPlain(bridge.PlainConfig{Bind: []string{addr}})
		require.NoError(t, err)
	})
	self, heard := w.inbox()
	require.NoError(t, w.b.Register("first", self))
	require.NoError(t, second.Register("second", self))
	one, two := w.dial(w.b.Addrs()[0], "anna"), w.dial(addr, "anna")
	one.send("first", "1")
	m, _ := w.message(heard, "the first anna")
	require.True(t, m.From.Equal(w.b.PID("anna")))
	two.send("second", "2")
	m, _ = w.message(heard, "the second anna")
	require.True(t, m.From.Equal(second.PID("anna")))
	require.False(t, m.From.Equal(w.b.PID("anna")))
	two.send("first", "3")
	require.Equal(t, []string{"~error", "first"}, two.recv()[:2])
}
