package main

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBrokerWaitsForOpenHits(t *testing.T) {
	h := newHouse(t)
	h.worker(t)
	c, _ := h.hit(t, "count")
	h.broker.signal(syscall.SIGTERM)
	require.Equal(t, "draining: 1 hit is open, waiting up to 10s; once more (Ctrl-C or SIGTERM) stops at once\n", h.broker.err.await(t, "draining"))
	c.say("still")
	require.Equal(t, "1\n", c.out.await(t, "1"))
	require.Contains(t, troupe(t, exitFailed, h.clients, "call", "echo").err.String(), "draining (never started)")
	require.NoError(t, c.stdin.Close())
	c.expect(exitOK)
	h.broker.expect(exitOK)
	require.Contains(t, h.broker.err.String(), "drained: no hit is open any more\n")
}

func TestBrokerStopsAtTheSecondSignal(t *testing.T) {
	h := newHouse(t, "--drain", "1h")
	w := h.worker(t)
	c, handle := h.hit(t, "count")
	h.broker.signal(os.Interrupt)
	h.broker.err.await(t, "draining")
	h.broker.signal(syscall.SIGTERM)
	h.broker.expect(exitIncomplete)
	require.Contains(t, h.broker.err.String(), "stopped at the second signal while 1 hit is still open: their clients are told broker-gone")
	c.expect(exitUnreachable)
	require.Contains(t, c.err.String(), "troupe: count: hit "+handle+": broker-gone (")
	w.signal(os.Interrupt)
	w.expect(exitOK)
}

func TestBrokerGivesUpAfterTheDrainTime(t *testing.T) {
	h := newHouse(t, "--drain", "1ms")
	h.worker(t)
	h.hit(t, "count")
	h.broker.signal(syscall.SIGTERM)
	h.broker.expect(exitIncomplete)
	require.Contains(t, h.broker.err.String(), "stopped after 1ms (--drain) while 1 hit is still open")
}

func TestBrokerThatShallNotWait(t *testing.T) {
	h := newHouse(t, "--drain", "0")
	h.worker(t)
	h.hit(t, "count")
	h.broker.signal(syscall.SIGTERM)
	h.broker.expect(exitOK)
	require.NotContains(t, h.broker.err.String(), "draining")
}

func TestWorkerWaitsForOpenHits(t *testing.T) {
	h := newHouse(t)
	w := h.worker(t)
	c, _ := h.hit(t, "count")
	w.signal(syscall.SIGTERM)
	w.err.await(t, "draining: 1 hit is open")
	troupe(t, exitIncomplete, h.clients, "call", "echo", "--timeout", "50ms") // it gets no new hits
	c.say("still")
	c.out.await(t, "1")
	require.NoError(t, c.stdin.Close())
	c.expect(exitOK)
	w.expect(exitOK)
	w.err.await(t, "drained: no hit is open any more")
}

func TestWorkerStopsAtTheSecondSignal(t *testing.T) {
	h := newHouse(t)
	w := h.worker(t, "--drain", "1h")
	busy, _ := h.hit(t, "sleep")
	deaf, _ := h.hit(t, "spin")
	busy.say("1h")
	deaf.say("1h")
	waitForCalls(t, h, 2)
	w.signal(syscall.SIGTERM)
	w.err.await(t, "draining: 2 hits are open")
	w.signal(syscall.SIGTERM)
	w.expect(exitIncomplete)
	require.Contains(t, w.err.String(), "stopped at the second signal while 2 hits are still open: their clients are told worker-gone")
	deaf.expect(exitFailed)
	require.Contains(t, deaf.err.String(), "worker-gone (outcome unknown)")
	require.NotEqual(t, exitOK, busy.exit())
}

// waitForCalls waits until so many calls are under way, as the listing says.
func waitForCalls(t *testing.T, h *house, calls int) []hitRow {
	t.Helper()
	for {
		rows, under := h.list(t), 0
		for _, r := range rows {
			under += r.Waiting
		}
		if under >= calls {
			return rows
		}
	}
}

type hitRow struct {
	Hit, Actor, Service, Worker, State, Route, Client, Label, Host string
	PID, Thread, Calls                                             int
	Waiting                                                        int   `json:"calls_under_way"`
	Age                                                            int64 `json:"age_ms"`
}

func (h *house) list(t *testing.T, flags ...string) []hitRow {
	t.Helper()
	var page struct {
		Hits  []hitRow
		Total int
	}
	troupe(t, exitOK, append([]string{h.clients, "hit", "list", "-o", "json"}, flags...)...).read(&page)
	require.Len(t, page.Hits, page.Total)
	return page.Hits
}
