package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCallsOfSomeWorkersOnly(t *testing.T) {
	h := newHouse(t)
	h.worker(t, "--name", "big", "--label", "gpu=a100", "--label", "zone=b")
	h.worker(t, "--name", "small")
	for range 3 {
		for _, target := range [][]string{{"--on", "big"}, {"--where", "gpu=h100|a100,zone!=c"}, {"--affinity", "customer-7"}} {
			p := troupe(t, exitOK, append([]string{h.clients, "call", "upper", "hello"}, target...)...)
			require.Equal(t, "HELLO\n", p.out.String())
		}
	}
	var page workerPage
	troupe(t, exitOK, h.clients, "worker", "list", "-o", "json").read(&page)
	require.GreaterOrEqual(t, page.Workers[0].Served, uint64(6))

	p := troupe(t, exitFailed, h.clients, "call", "upper", "hello", "--where", "gpu=none", "--absent-fails")
	require.Contains(t, p.err.String(), "no-match (never started)")
	p = troupe(t, exitUsage, h.clients, "call", "upper", "hello", "--on", "big", "--where", "gpu")
	require.Contains(t, p.err.String(), "exactly one")
	p = troupe(t, exitUsage, h.clients, "call", "upper", "hello", "--absent-fails")
	require.Contains(t, p.err.String(), "--on or --where")
	p = troupe(t, exitUsage, "worker", "--label", "worker=x")
	require.Contains(t, p.err.String(), "--label")
}
