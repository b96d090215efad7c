package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/cmd/troupe/internal/load"
)

func TestBenchMeasuresItself(t *testing.T) {
	for _, threads := range []string{"pinned", "shared"} {
		var r load.Result
		p := troupe(t, exitOK, "bench", "--self", "--threads", threads, "--hits", "5", "--window", "3", "--size", "1KiB", "--warm", "10ms", "--duration", "100ms", "-o", "json")
		p.read(&r)
		require.Equal(t, []int{5, 3, 1024}, []int{r.Hits, r.Window, r.Size})
		require.Positive(t, r.Calls)
		require.Zero(t, r.Wrong+r.Failed)
		require.True(t, 0 < r.P50 && r.P50 <= r.P99 && r.P99 <= r.P999 && r.P999 <= r.Most, "%+v", r)
		require.InDelta(t, float64(r.Calls)/r.Seconds, r.Rate, 1)
	}
}

func TestBenchAtABroker(t *testing.T) {
	h := newHouse(t)
	h.worker(t, "--slots", "6")
	p := troupe(t, exitOK, h.clients, "bench", "--hits", "6", "--window", "20", "--connections", "2", "--duration", "50ms")
	require.Regexp(t, `(?s)^calls +\d+ in .*, 32 B each, over 6 hits, 20 under way\nrate +\d+ calls/s\ntime +p50 .* us\nanswers +0 wrong, 0 failed\n$`, p.out.String())
	require.Contains(t, troupe(t, exitFailed, h.clients, "bench", "--hits", "7").err.String(), "echo has 6 free slots, and 7 hits are wanted")

	b := start(t, h.clients, "bench", "--hits", "1", "--duration", "1h", "--warm", "0s")
	b.err.await(t, "calling")
	waitForCalls(t, h, 1)
	b.signal(os.Interrupt)
	b.expect(exitOK)
	require.Contains(t, b.out.String(), "0 wrong, 0 failed")
}

// TestBenchSeesWrongAnswers: upper changes the body.
func TestBenchSeesWrongAnswers(t *testing.T) {
	h := newHouse(t)
	h.worker(t, "--service", "upper,fail,panic")
	for service, says := range map[string]string{
		"upper": "is not its body", "fail": "service-error", "panic": "panicked",
	} {
		p := troupe(t, exitFailed, h.clients, "bench", "--service", service, "--hits", "2", "--window", "2", "--size", "256", "--duration", "50ms")
		require.Contains(t, p.err.String(), says)
	}
}

func TestWrongUseOfBench(t *testing.T) {
	for _, args := range [][]string{
		{"--hits", "0"},
		{"--hits", "65536", "--self"},
		{"--size", "15"},
		{"--duration", "0s"},
		{"--self", "--broker", "tcp://127.0.0.1:1"},
	} {
		p := troupe(t, exitUsage, append([]string{"bench"}, args...)...)
		require.Contains(t, p.err.String(), args[0])
	}
	require.Contains(t, troupe(t, exitUnreachable, "bench", "--connect", "20ms").err.String(), "next: start a broker")
}
