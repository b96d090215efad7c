package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// awaitWorker asks the broker who is registered, until there is one for whom ok is true.
func (h *house) awaitWorker(t *testing.T, ok func(name string, pid int) bool) (name string, pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		var page workerPage
		troupe(t, exitOK, h.clients, "worker", "list", "-o", "json").read(&page)
		for _, w := range page.Workers {
			if ok(w.Name, w.PID) {
				name, pid = w.Name, w.PID
				return true
			}
		}
		return false
	}, safety, tick)
	return name, pid
}

// tick is how often a test looks again.
const tick = 10 * time.Millisecond

func anyWorker(string, int) bool { return true }

// TestSupervisedWorker: it is another process each time, has the same name, and serves.
func TestSupervisedWorker(t *testing.T) {
	h := newHouse(t)
	w := start(t, h.workers, "worker", "--supervised", "--backoff", "1ms", "--max-backoff", "1ms", "--frozen", "400ms", "--service", "doze,upper", "--log-format", "json",
		"--max-zombies", "1", "--write-off", "10ms", "--slots", "4")
	name, first := h.awaitWorker(t, anyWorker)
	require.NotEqual(t, w.cmd.Process.Pid, first)

	require.NoError(t, syscall.Kill(first, syscall.SIGKILL))
	require.Contains(t, w.err.await(t, "the child has ended"), `"signal":"SIGKILL"`)
	again, second := h.awaitWorker(t, func(_ string, pid int) bool { return pid != first })
	require.Equal(t, name, again)

	require.NoError(t, syscall.Kill(second, syscall.SIGSTOP))
	require.Contains(t, w.err.await(t, "all of the child has been stopped"), `"verdict":"FROZEN"`)
	_, third := h.awaitWorker(t, func(_ string, pid int) bool { return pid != first && pid != second })

	for range 2 { // two threads that do not come back are one too many
		start(t, h.clients, "call", "--timeout", "50ms", "doze", "1h")
	}
	w.err.await(t, `"exit_code":70`)
	require.Contains(t, w.err.await(t, "it has asked for it by its exit code"), `"again_in":0`)
	h.awaitWorker(t, func(_ string, pid int) bool { return pid != third && pid != first && pid != second })
	require.Equal(t, "HELLO\n", troupe(t, exitOK, h.clients, "call", "upper", "hello").out.String())
	w.signal(syscall.SIGTERM)
	w.expect(exitOK)
}

// TestNoWorkerOutlivesItsSupervisor: also when that is killed.
func TestNoWorkerOutlivesItsSupervisor(t *testing.T) {
	h := newHouse(t)
	w := start(t, h.workers, "worker", "--supervised")
	_, pid := h.awaitWorker(t, anyWorker)
	w.signal(os.Kill)
	w.exit()
	require.Eventually(t, func() bool {
		var page workerPage
		troupe(t, exitOK, h.clients, "worker", "list", "-o", "json").read(&page)
		return len(page.Workers) == 0
	}, safety, tick)
	require.Eventually(t, func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(stat), ") Z ")
	}, safety, tick)
}

// TestSupervisedWorkerDrains: the first signal lets open hits end, the second does not.
func TestSupervisedWorkerDrains(t *testing.T) {
	h := newHouse(t)
	w := start(t, h.workers, "worker", "--supervised", "--service", "count", "--drain", "1h")
	h.awaitWorker(t, anyWorker)
	h.hit(t, "count")
	w.signal(syscall.SIGTERM)
	w.err.await(t, "draining: 1 hit is open")
	w.signal(syscall.SIGTERM)
	w.expect(exitIncomplete)
	require.Contains(t, w.err.String(), "has ended with exit code 4, and is not started again")
}

func TestSupervise(t *testing.T) {
	p := troupe(t, 9, "supervise", "--max-restarts", "2", "--backoff", "1ms", "--", "/bin/sh", "-c", "echo runs; exit 9")
	require.Equal(t, "runs\nruns\nruns\n", p.out.String())
	require.Contains(t, p.err.String(), "sh has ended with exit code 9, and is not started again")
	require.Contains(t, p.err.String(), "restarts=2")
	troupe(t, exitOK, "supervise", "/bin/sh", "-c", "exit 0")
	troupe(t, 137, "supervise", "--restart", "temporary", "--", "/bin/sh", "-c", "kill -9 $$")
	troupe(t, 127, "supervise", "--", "/nowhere/at/all")
}

func TestSupervisedBroker(t *testing.T) {
	p := start(t, "supervise", "--pulse", "1s", "--", os.Args[0], "broker", "--client", "tcp://127.0.0.1:0", "--worker", "tcp://127.0.0.1:0")
	p.out.await(t, "client")
	p.err.await(t, "the child is ready")
	p.signal(os.Interrupt)
	p.expect(exitOK)
}

func TestWrongUseOfSupervise(t *testing.T) {
	for says, args := range map[string][]string{
		"no program is named":        {"supervise"},
		"--max-restarts is -1":       {"supervise", "--max-restarts", "-1", "--", "true"},
		"--backoff is 0s":            {"supervise", "--backoff", "0s", "--", "true"},
		"--frozen is -1s":            {"supervise", "--frozen", "-1s", "--", "true"},
		"a busy machine":             {"supervise", "--pulse", "1ms", "--", "true"},
		`"always" is not possible`:   {"supervise", "--restart", "always", "--", "true"},
		"--slots is 0":               {"worker", "--supervised", "--slots", "0"},
		"--restart-window 0s: the n": {"worker", "--supervised", "--restart-window", "0s"},
	} {
		require.Contains(t, troupe(t, exitUsage, args...).err.String(), says)
	}
}

func TestUnsupervised(t *testing.T) {
	require.Equal(t, []string{"worker", "--supervised", "--supervised=false", "--name=w"}, unsupervised([]string{"worker", "--supervised"}, "w"))
	require.Equal(t, []string{"worker", "--supervised=false", "--name=w", "--"}, unsupervised([]string{"worker", "--"}, "w"))
}
