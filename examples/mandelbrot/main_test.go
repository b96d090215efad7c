package main

import (
	"bytes"
	"context"
	"image/png"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain is the worker, where the test has started itself as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-worker" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

func TestThePictureIsExactThoughWorkersBreak(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, file := &bytes.Buffer{}, filepath.Join(t.TempDir(), "m.png")
	require.NoError(t, run(ctx, []string{"-width", "240", "-tile", "16", "-depth", "200", "-output", file}, out), "%s", out)
	for _, words := range []string{"go0 is killed", "go1 is frozen", "150 tiles in", "one process draws the same"} {
		require.Contains(t, out.String(), words)
	}
	f, err := os.Open(file)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	p, err := png.Decode(f)
	require.NoError(t, err)
	require.Equal(t, 240, p.Bounds().Dx())
}

func TestBadArguments(t *testing.T) {
	require.ErrorContains(t, run(t.Context(), []string{"-width", "2"}, &bytes.Buffer{}), "-width 2")
	require.ErrorContains(t, run(t.Context(), []string{"-depth", "100000"}, &bytes.Buffer{}), "-depth 100000")
}
