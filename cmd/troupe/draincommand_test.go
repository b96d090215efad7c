package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDrainAWorker(t *testing.T) {
	h := newHouse(t)
	h.worker(t, "--name", "old", "--service", "count")
	c, _ := h.hit(t, "count")
	late := troupe(t, exitIncomplete, h.clients, "drain", "worker", "old", "--timeout", "500ms")
	require.Contains(t, late.err.String(), "draining old: 1 hit is open")
	require.Contains(t, late.err.String(), "1 hit is still open: it goes on draining")
	require.Regexp(t, `(?m)^old +leaving `, troupe(t, exitOK, h.clients, "worker", "list").out.String())
	h.worker(t, "--name", "new", "--service", "count")
	c.say("1") // the open hit goes on
	c.out.await(t, "1")
	require.NoError(t, c.stdin.Close())
	c.expect(exitOK)
	require.Equal(t, "drained old\n", troupe(t, exitOK, h.clients, "drain", "worker", "old").out.String())
	troupe(t, exitOK, h.clients, "call", "count", "1")
	require.Contains(t, troupe(t, exitFailed, h.clients, "drain", "worker", "nobody").err.String(), `no worker is named "nobody"`)
}

func TestDrainABroker(t *testing.T) {
	h := newHouse(t, "--name", "main")
	h.worker(t, "--service", "count")
	var said struct {
		Draining string
		Hits     int
	}
	troupe(t, exitOK, h.clients, "drain", "broker", "-o", "json").read(&said)
	require.Equal(t, "main", said.Draining)
	require.Contains(t, troupe(t, exitFailed, h.clients, "call", "count", "1").err.String(), "draining (never started)")
}
