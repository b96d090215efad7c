package main

import (
	"bytes"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHello(t *testing.T) {
	var out bytes.Buffer
	hello(t.Context(), &out)
	lines := regexp.MustCompile(`(?m)^hit [0-9a-f]+ on thread (\d+): affinity kept 100/100$`).FindAllStringSubmatch(out.String(), -1)
	require.Len(t, lines, 4, out.String())
	threads := map[string]bool{}
	for _, line := range lines {
		require.NotEqual(t, strconv.Itoa(unix.Getpid()), line[1], "not the main thread")
		threads[line[1]] = true
	}
	require.Len(t, threads, 4, "each hit has a thread of its own: %s", out.String())
}
