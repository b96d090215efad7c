package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

const upperScript = `#!/bin/sh
# A whole service: a line in, a line out.
while read -r line; do
	case $line in
	die*) echo "cannot go on" >&2; exit 7 ;;
	esac
	echo "$line" | tr a-z A-Z
done
`

func writeScript(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "service.sh")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o700))
	return file
}

func TestShellScriptServes(t *testing.T) {
	h := newHouse(t)
	w := h.worker(t, "--service", "shout", "--exec", writeScript(t, upperScript))
	require.Equal(t, "HELLO\n", troupe(t, exitOK, h.clients, "call", "shout", "hello").out.String())

	c, handle := h.hit(t, "shout")
	other, _ := h.hit(t, "shout")
	c.say("one")
	c.out.await(t, "ONE")
	c.say("die")
	c.expect(exitFailed)
	require.Contains(t, c.err.String(), "hit "+handle+`: panicked (outcome unknown): the service crashed: the program of this hit ended: exit status 7; its last words: "cannot go on"`)
	w.err.await(t, "[shout "+handle+"] cannot go on")
	require.NotContains(t, w.err.String(), "goroutine", "a program's end has no stack of ours")
	other.say("still here")
	other.out.await(t, "STILL HERE")
}

func TestProgramSpeaksBlocks(t *testing.T) {
	h := newHouse(t)
	h.worker(t, "--service", "cat", "--exec", "exec cat", "--framing", "blocks", "--threads", "shared")
	require.Equal(t, "a\nb\n", troupe(t, exitOK, h.clients, "call", "cat", "a\nb").out.String())
}

func TestSessionReachesTheProgram(t *testing.T) {
	h := newHouse(t)
	h.worker(t, "--service", "session", "--exec", `while read -r line; do echo "$TROUPE_SERVICE $TROUPE_SESSION"; done`)
	p := troupe(t, exitOK, h.clients, "call", "session", "--session", `{"user": "ann"}`)
	require.Equal(t, `session {"user":"ann"}`+"\n", p.out.String())
}

// TestProgramsEndWithTheirWorker: even with one that is killed.
func TestProgramsEndWithTheirWorker(t *testing.T) {
	h := newHouse(t)
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	w := h.worker(t, "--service", "hold", "--exec", "exec 3>"+pipe+"; while read -r line; do echo $$; done; exec sleep 1000")
	c, _ := h.hit(t, "hold")
	r, err := os.Open(pipe)
	require.NoError(t, err)
	defer r.Close()
	c.say("")
	c.out.await(t, "\n")
	require.NoError(t, w.cmd.Process.Kill())
	_, err = io.ReadAll(r) // ends when nobody holds the other end any more
	require.NoError(t, err)
	c.say("")
	c.expect(exitFailed)
	require.Contains(t, c.err.String(), "worker-gone")
}

func TestWorkerStopsItsPrograms(t *testing.T) {
	h := newHouse(t)
	w := h.worker(t, "--drain", "0", "--service", "hold", "--exec", `trap "" TERM; while read -r line; do echo; done; while :; do sleep 1; done`, "--patience", "50ms")
	c, _ := h.hit(t, "hold")
	c.say("")
	c.out.await(t, "\n")
	w.signal(syscall.SIGTERM)
	w.expect(exitOK)
	require.Contains(t, w.err.String(), "the program was killed, for it ended neither with its input nor at SIGTERM")
	require.False(t, strings.Contains(w.err.String(), "goroutine"))
}
