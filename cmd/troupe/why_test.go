package main

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
)

// why asks for the records about somebody until there is one of this verdict.
func (h *house) why(t *testing.T, about, verdict string) machine.Why {
	t.Helper()
	var found machine.Why
	require.Eventually(t, func() bool {
		var report machine.WhyReport
		troupe(t, exitOK, h.clients, "why", about, "-o", "json").read(&report)
		for _, y := range report.Records {
			if y.Verdict == verdict {
				found = y
			}
		}
		return found.Verdict == verdict
	}, safety, safety/300)
	return found
}

func TestWhyAWorkerIsGone(t *testing.T) {
	h := newHouse(t)
	require.Contains(t, troupe(t, exitOK, h.clients, "why").err.String(), "no verdict is kept")
	require.Contains(t, troupe(t, exitOK, h.clients, "why", "w1").err.String(), "no verdict about w1 is kept")
	w := h.worker(t, "--name", "w1", "--service", "count")
	_, handle := h.hit(t, "count")
	w.signal(syscall.SIGKILL)
	require.Equal(t, "disconnected", h.why(t, "w1", "GONE").Detector)
	require.Equal(t, "w1", h.why(t, handle, "GONE").Worker)
	text := troupe(t, exitOK, h.clients, "why", "w1").out.String()
	for _, says := range []string{"GONE  worker w1", "ago)\n  detector  disconnected\n", "\n  measured  ", "\n  heard     ", "\n  done      ", "\n  knob      "} {
		require.Contains(t, text, says)
	}
	require.Contains(t, troupe(t, exitUsage, h.clients, "why", "a", "b").err.String(), "accepts at most 1 arg")
}

func TestWhyACallIsStuck(t *testing.T) {
	h := newHouse(t, "--stuck", "250ms")
	h.worker(t, "--name", "teller", "--service", "sleep")
	p := start(t, h.clients, "call", "sleep", "20s")
	require.Equal(t, "it was noted: the call goes on, and its client may cancel it", h.why(t, "teller", "STUCK").Done)
	table := troupe(t, exitOK, h.clients, "worker", "list").out.String()
	require.Regexp(t, `(?m)^teller .* sleep +- +STUCK: the hit's thread has given no sign`, table)
	p.signal(syscall.SIGINT)
	p.exit()
}

func TestACallThatIsStuckFails(t *testing.T) {
	h := newHouse(t, "--stuck", "250ms")
	h.worker(t, "--service", "sleep", "--repair", "fail")
	p := troupe(t, exitFailed, h.clients, "call", "sleep", "20s")
	require.Contains(t, p.err.String(), "stuck (outcome unknown)")
	require.Contains(t, p.err.String(), `"verdict":"STUCK"`)
	require.Contains(t, p.err.String(), "next: `troupe why`")
	require.Contains(t, troupe(t, exitUsage, "worker", "--lease", "-1s").err.String(), "--lease is -1s")
	require.Contains(t, troupe(t, exitUsage, "broker", "--stuck", "-1s").err.String(), "--stuck is -1s")
}

// A worker of one slot serves on, whatever its threads are stuck in.
func TestAHungThreadOfTheCommandIsReplaced(t *testing.T) {
	h := newHouse(t, "--stuck", "250ms")
	w := h.worker(t, "--name", "w1", "--slots", "1", "--repair", "fail", "--write-off", "100ms")
	for n, service := range []string{"doze", "spin"} { // in the kernel, and in an endless loop
		troupe(t, exitFailed, h.clients, "call", service, "10s")
		require.Equal(t, "HELLO\n", troupe(t, exitOK, h.clients, "call", "upper", "hello").out.String())
		require.Contains(t, troupe(t, exitOK, h.clients, "worker", "list").out.String(), fmt.Sprintf("serving, %d hung", n+1))
	}
	require.Contains(t, troupe(t, exitOK, h.clients, "status").out.String(), "2 threads of workers that did not come back")
	w.signal(syscall.SIGTERM)
	w.exit()
	require.Contains(t, w.err.String(), "the thread of a session is written off")
}
