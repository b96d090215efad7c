package main

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/cmd/troupe/internal/top"
)

func (h *house) worker1(t *testing.T) machine.WorkerRow {
	t.Helper()
	var page workerPage
	troupe(t, exitOK, h.clients, "worker", "list", "-o", "json").read(&page)
	require.Len(t, page.Workers, 1)
	return page.Workers[0]
}

func TestTopOnATerminal(t *testing.T) {
	h := newHouse(t)
	h.worker(t, "--name", "w1", "--service", "echo")
	o := onTerminal(t, h.clients, "top", "--interval", "100ms")
	o.sees("w1")
	o.sees("worker.registered")
	o.press("w")
	o.sees("no verdict about w1 is kept")
	o.press("d")
	o.sees("drain w1?")
	o.press("n")
	o.press("d")
	o.press("y")
	o.sees("w1 takes no new hits")
	require.Equal(t, "leaving", h.worker1(t).State)
	h.broker.signal(syscall.SIGKILL)
	o.sees("not reached")
	o.press("q")
	o.expect(exitOK)
	o.sees("\x1b[?1049l") // the terminal is given back
}

func TestTopWithoutATerminal(t *testing.T) {
	h := newHouse(t)
	h.worker(t, "--name", "w1", "--service", "echo")
	require.Contains(t, troupe(t, exitUsage, h.clients, "top").err.String(), "use --once")
	require.Contains(t, troupe(t, exitUsage, h.clients, "top", "--interval", "1ms").err.String(), "at least 100ms")
	text := troupe(t, exitOK, h.clients, "top", "--once", "--interval", "100ms").out.String()
	for _, says := range []string{"SERVICE", "echo", "WORKER by name", "serving", "EVENTS", "worker.registered"} {
		require.Contains(t, text, says)
	}
	var s top.Snapshot
	troupe(t, exitOK, h.clients, "top", "--once", "-o", "json").read(&s)
	require.Equal(t, []any{"w1", 1, "worker.registered"}, []any{s.Workers[0].Name, len(s.Status.Services), s.Events[0].Kind})

	lines := start(t, h.clients, "top", "-o", "json", "--interval", "100ms")
	lines.out.await(t, "worker.registered")
	lines.out.await(t, `"events":[]`) // each is told once
	lines.signal(syscall.SIGINT)
	lines.expect(exitOK)
}

func TestEvents(t *testing.T) {
	h := newHouse(t)
	w := h.worker(t, "--name", "w1", "--service", "echo")
	follow := start(t, h.clients, "events", "--follow", "--kind", "worker", "-o", "json")
	follow.out.await(t, "worker.registered")
	w.signal(syscall.SIGKILL)
	var e machine.Event
	require.NoError(t, json.Unmarshal([]byte(follow.out.await(t, "worker.lost")), &e))
	require.Equal(t, []any{"w1", "GONE"}, []any{e.Worker, e.Verdict})
	require.Equal(t, []string{"worker.registered", "service.offered", "worker.lost", "service.gone"}, kinds(t, h))
	require.Equal(t, []string{"service.gone"}, kinds(t, h, "--since", "3"))
	require.Contains(t, troupe(t, exitOK, h.clients, "events").out.String(), "service=echo")
	require.Contains(t, troupe(t, exitFailed, h.clients, "events", "--kind", "odd").err.String(), "worker.registered")
	require.Contains(t, troupe(t, exitFailed, h.clients, "events", "--since", "x").err.String(), "number of an event")
	follow.signal(syscall.SIGTERM)
	follow.expect(exitOK)
}

// kinds lists the kinds of events.
func kinds(t *testing.T, h *house, flags ...string) []string {
	t.Helper()
	p := troupe(t, exitOK, append([]string{h.clients, "events", "-o", "json"}, flags...)...)
	var all []string
	for d := json.NewDecoder(strings.NewReader(p.out.String())); d.More(); {
		var e machine.Event
		require.NoError(t, d.Decode(&e))
		all = append(all, e.Kind)
	}
	return all
}
