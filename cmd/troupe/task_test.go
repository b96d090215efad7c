package main

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTasksFromTheCommandLine(t *testing.T) {
	h := newHouse(t)
	h.worker(t, "--name", "w1", "--label", "zone=a")
	h.worker(t, "--name", "w2")
	require.Equal(t, "HELLO\n", troupe(t, exitOK, h.clients, "task", "submit", "upper", "hello").out.String())
	require.Equal(t, "job-7\n", troupe(t, exitOK, h.clients, "task", "submit", "upper", "hello", "--id", "job-7", "--detach").out.String())
	require.Equal(t, "HELLO\n", troupe(t, exitOK, h.clients, "task", "get", "upper", "job-7").out.String())
	require.Contains(t, troupe(t, exitOK, h.clients, "task", "get", "upper", "job-7", "--status").out.String(), "done")
	require.Contains(t, troupe(t, exitFailed, h.clients, "task", "get", "upper", "job-8").err.String(), "no task job-8 is known")

	troupe(t, exitOK, h.clients, "task", "submit", "sleep", "1h", "--id", "long", "--detach", "--topic", "naps")
	require.Regexp(t, `(?m)^long +sleep +naps +running +w[12] `, troupe(t, exitOK, h.clients, "task", "list").out.String())
	var page taskPage
	troupe(t, exitOK, h.clients, "task", "list", "--state", "done", "-o", "json").read(&page)
	require.Len(t, page.Tasks, 1)
	require.Equal(t, 2, page.Total)
	troupe(t, exitOK, h.clients, "task", "cancel", "long")
	require.Contains(t, troupe(t, exitIncomplete, h.clients, "task", "get", "sleep", "long").err.String(), "cancelled")
	require.Contains(t, troupe(t, exitFailed, h.clients, "task", "cancel", "long").err.String(), "task list")

	p := troupe(t, exitFailed, h.clients, "task", "submit", "fail", "no", "--retries", "2", "--backoff", "1ms")
	require.Contains(t, p.err.String(), "(3 attempts)")
	for want, args := range map[string][]string{
		"--detach without --id":  {"submit", "upper", "a", "--detach"},
		"--keep without --id":    {"submit", "upper", "a", "--keep", "1m"},
		"--absent-fails without": {"submit", "upper", "a", "--absent-fails"},
		"exactly one":            {"submit", "upper", "a", "--on", "w1", "--where", "zone"},
		"--in-flight is 0":       {"map", "upper", "--in-flight", "0"},
		"negative":               {"submit", "upper", "--retries", "-1"},
		"--most is 0":            {"list", "--most", "0"},
		"all, cancel, get":       {},
	} {
		p := troupe(t, exitUsage, append([]string{h.clients, "task"}, args...)...)
		require.Contains(t, p.err.String(), want)
	}
}

func TestTasksForEachLine(t *testing.T) {
	h := newHouse(t)
	h.worker(t, "--name", "w1")
	var lines, upper strings.Builder
	for i := range 300 {
		fmt.Fprintf(&lines, "line %d\n", i)
		fmt.Fprintf(&upper, "LINE %d\n", i)
	}
	p := troupeIn(t, exitOK, lines.String(), h.clients, "task", "map", "upper")
	require.Equal(t, upper.String(), p.out.String())
	p = troupeIn(t, exitIncomplete, "a\nb\n", h.clients, "task", "map", "fail", "--as-they-come")
	require.Contains(t, p.err.String(), "2 of 2 tasks failed")
	require.Contains(t, p.err.String(), "line 1: ")
	p = troupeIn(t, exitOK, "a\n", h.clients, "task", "map", "upper", "-o", "json")
	require.JSONEq(t, `{"line":1,"reply":{"encoding":"utf-8","frames":["A"]}}`, p.out.String())
}

// The ledger of a question to all is compared with the processes that the test has started.
func TestTasksForAll(t *testing.T) {
	h := newHouse(t, "--silence", "1s", "--heartbeat", "300ms")
	pids := map[string]int{}
	var frozen *process
	for i := range 4 {
		name := "w" + strconv.Itoa(i)
		frozen = h.worker(t, "--name", name, "--label", "odd="+strconv.Itoa(i%2))
		pids[name] = frozen.cmd.Process.Pid
	}
	var l struct {
		Complete        bool
		Asked, Answered int
		Entries         []entry
	}
	troupe(t, exitOK, h.clients, "task", "all", "upper", "hi", "-o", "json").read(&l)
	require.True(t, l.Complete)
	require.Len(t, l.Entries, 4)
	for _, e := range l.Entries {
		require.Equal(t, pids[e.Worker], e.PID)
		require.Equal(t, []string{"HI"}, e.Reply.Frames)
	}
	troupe(t, exitOK, h.clients, "task", "all", "upper", "hi", "--where", "odd=1", "-o", "json").read(&l)
	require.Len(t, l.Entries, 2)
	require.NoError(t, frozen.cmd.Process.Signal(syscall.SIGSTOP))
	troupe(t, exitIncomplete, h.clients, "task", "all", "upper", "hi", "-o", "json").read(&l)
	require.NoError(t, frozen.cmd.Process.Signal(syscall.SIGCONT))
	require.True(t, l.Complete)
	require.Equal(t, []any{4, 3}, []any{l.Asked, l.Answered})
	last := l.Entries[3]
	require.Equal(t, []any{"w3", pids["w3"], "lost", "FROZEN"}, []any{last.Worker, last.PID, last.State, last.Verdict})
	require.Contains(t, troupe(t, exitIncomplete, h.clients, "task", "all", "nobody").err.String(), "nobody was asked")
}
