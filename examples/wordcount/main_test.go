package main

import (
	"bytes"
	"context"
	"os"
	"strings"
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

func TestTheCountIsExactThoughWorkersBreak(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out := &bytes.Buffer{}
	require.NoError(t, run(ctx, []string{"-files", "400"}, out), "%s", out)
	for _, words := range []string{"w0 is killed", "w1 is frozen", "400 files done", "one process counts the same"} {
		require.Contains(t, out.String(), words)
	}
}

func TestBadArguments(t *testing.T) {
	require.ErrorContains(t, run(t.Context(), []string{"-workers", "2"}, &bytes.Buffer{}), "at least 3")
	require.ErrorContains(t, run(t.Context(), []string{"-root", "/nowhere"}, &bytes.Buffer{}), "nowhere")
	w := words{"a": 1, "b": 3, "c": 3}
	require.Equal(t, "b c", strings.Join(w.top(2), " "))
	require.Equal(t, 7, w.total())
}
