package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestQueuesFromTheCommandLine(t *testing.T) {
	h := newHouse(t, "--min-workers", "spin=2")
	h.worker(t, "--name", "w", "--slots", "1")
	p := troupe(t, exitOK, h.clients, "queue", "list")
	require.Contains(t, p.err.String(), "nothing waits")
	troupe(t, exitOK, h.clients, "queue", "hold", "upper")
	require.Contains(t, troupe(t, exitFailed, h.clients, "queue", "hold", "upper").err.String(), "held already")
	var calls []*process
	for _, topic := range []string{"tea", "tea", "milk"} {
		calls = append(calls, start(t, h.clients, "call", "upper", topic, "--label", topic, "--timeout", "1m"))
		until(t, func() bool {
			var page struct{ Queues []struct{ Waiting int } }
			troupe(t, exitOK, h.clients, "queue", "list", "upper", "-o", "json").read(&page)
			return page.Queues[0].Waiting == len(calls)
		})
	}
	require.Regexp(t, `(?m)^upper +- +routed +3 +\S+ +1 +held +tea \(2\), milk \(1\)$`, troupe(t, exitOK, h.clients, "queue", "list").out.String())
	var page itemPage
	troupe(t, exitOK, h.clients, "queue", "show", "upper", "--topic", "tea", "-o", "json").read(&page)
	require.Len(t, page.Items, 2)
	require.Contains(t, troupe(t, exitOK, h.clients, "queue", "clear", "upper", "--topic", "milk", "--dry-run").err.String(), "that would be 1")
	require.Contains(t, troupe(t, exitOK, h.clients, "queue", "remove", "upper", page.Items[0].ID).err.String(), "removed 1")
	calls[0].expect(exitFailed)
	require.Contains(t, calls[0].err.String(), "removed from the queue by ")
	require.Contains(t, troupe(t, exitOK, h.clients, "queue", "move", "upper", "--to", "echo", "--topic", "milk").err.String(), "moved 1 to echo")
	calls[2].expect(exitOK)
	require.Equal(t, "milk\n", calls[2].out.String(), "echo has done it")
	troupe(t, exitOK, h.clients, "queue", "release", "upper")
	calls[1].expect(exitOK)
	require.Equal(t, "TEA\n", calls[1].out.String())
	waits := start(t, h.clients, "call", "spin", "1ms", "--timeout", "1m")
	until(t, func() bool {
		return len(troupe(t, exitOK, h.clients, "queue", "list").out.String()) > 0
	})
	require.Contains(t, troupe(t, exitOK, h.clients, "queue", "list").out.String(), "wants 2 workers")
	h.worker(t, "--name", "w2", "--service", "spin")
	waits.expect(exitOK)
	h.broker.err.await(t, "operator by=")
	for want, args := range map[string][]string{"no --to": {"move", "upper"}, "--older is -1s": {"clear", "upper", "--older", "-1s"}, "--most is 0": {"show", "upper", "--most", "0"}, "needs one of its commands": {}} {
		require.Contains(t, troupe(t, exitUsage, append([]string{h.clients, "queue"}, args...)...).err.String(), want)
	}
	require.Contains(t, troupe(t, exitFailed, h.clients, "queue", "clear", "nobody").err.String(), "no worker has offered")
}

// until asks again until the answer is yes.
func until(t *testing.T, yes func() bool) {
	t.Helper()
	for limit := time.Now().Add(safety); !yes(); {
		require.True(t, time.Now().Before(limit), "waited in vain")
	}
}
