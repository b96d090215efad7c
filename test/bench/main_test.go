package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testHouse is a house with the C programs, at a pace that proves that they work and measures nothing.
func testHouse(t *testing.T, programs ...string) *house {
	t.Helper()
	h, err := newHouse(pace{rounds: 1, warm: time.Millisecond, run: 20 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(h.close)
	for _, name := range programs {
		require.NoError(t, h.buildC(t.Context(), name))
	}
	return h
}

// patient is a context for what takes a moment: its deadline is a safety net.
func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestUnknownFigureIsRefused(t *testing.T) {
	out := filepath.Join(t.TempDir(), "bench.json")
	require.NoError(t, os.WriteFile(out, []byte("old"), 0o600))
	_, err := run(t.Context(), pace{rounds: 1}, "speed", out, "")
	require.ErrorContains(t, err, "routed_32B_W512", "the error names what there is")
	require.FileExists(t, out, "nothing was measured, so the old figures stay")
}
