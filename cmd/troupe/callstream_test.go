package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// randomFile writes a file of so many bytes and returns its path and its SHA-256.
func randomFile(t *testing.T, n int64) (path, sum string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "body")
	file, err := os.Create(path)
	require.NoError(t, err)
	hash := sha256.New()
	_, err = io.CopyN(io.MultiWriter(file, hash), rand.NewChaCha8([32]byte{1}), n)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	return path, fmt.Sprintf("%x", hash.Sum(nil))
}

func TestCallWithLargeBodies(t *testing.T) {
	h := newHouse(t)
	h.worker(t, "--direct-bind", "tcp://127.0.0.1:0")
	const size = 40 << 20 // more than the broker takes in one message
	path, sum := randomFile(t, size)
	for _, route := range [][]string{nil, {"--direct"}} {
		args := func(more ...string) []string { return append(append([]string{"call"}, more...), route...) }
		r := troupe(t, exitOK, append([]string{h.clients}, args("sha256", "--body", path)...)...)
		require.Equal(t, fmt.Sprintf("%s %d\n", sum, size), r.out.String())
		require.Contains(t, r.err.String(), "sent 40.0 MiB, received 0 B in ")

		copied := filepath.Join(t.TempDir(), "copy")
		var s streamed
		troupe(t, exitOK, append([]string{h.clients}, args("echo", "a head", "--body", path, "--output", copied, "-o", "json")...)...).read(&s)
		require.EqualValues(t, size, s.Sent)
		require.EqualValues(t, size, s.Received)
		require.Equal(t, []string{"a head"}, s.Frames)
		body, err := os.ReadFile(copied)
		require.NoError(t, err)
		require.Equal(t, sum, fmt.Sprintf("%x", sha256.Sum256(body)))
	}
	require.Len(t, troupe(t, exitOK, h.clients, "call", "blob", "3MiB", "--output", "-").out.String(), 3<<20)
	require.Equal(t, "HELLO", troupe(t, exitOK, h.clients, "call", "upper", "hello", "--output", "-").out.String())
}

func TestLargeBodiesThatFail(t *testing.T) {
	h := newHouse(t)
	h.worker(t)
	dir := t.TempDir()
	path, _ := randomFile(t, 10)
	for _, c := range []struct {
		code int
		args []string
		says string
	}{
		{exitUsage, []string{"sha256", "--body", filepath.Join(dir, "nothing")}, "no such file"},
		{exitUsage, []string{"sha256", "--body", dir}, "is a folder"},
		{exitUsage, []string{"blob", "--output", filepath.Join(dir, "no", "file")}, "--output"},
		{exitUsage, []string{"blob", "--output", dir}, "no ordinary file"},
		{exitUsage, []string{"sha256", "-", "--body", "-"}, "at once"},
		{exitUsage, []string{"sha256", "--hit", "--body", path}, "leave one of them out"},
		{exitFailed, []string{"blob", "much", "--output", filepath.Join(dir, "out")}, `"much" is no size`},
		{exitFailed, []string{"nobody", "--body", path}, "unknown-service"},
	} {
		r := troupe(t, c.code, append([]string{h.clients, "call"}, c.args...)...)
		require.Contains(t, r.err.String(), c.says, "%v", c.args)
		require.Empty(t, r.out.String())
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "half a reply leaves no file")
}
