package main

import (
	"strings"
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

func TestDrainToAnotherBroker(t *testing.T) {
	old, other := newHouse(t, "--name", "old"), newHouse(t, "--name", "other")
	to, toWorkers := strings.TrimPrefix(other.clients, clientsEnv+"="), strings.TrimPrefix(other.workers, workersEnv+"=")
	old.worker(t, "--name", "w", "--service", "count")
	c, _ := old.hit(t, "count")
	late := start(t, old.clients, "drain", "broker", "--clients-to", to, "--workers-to", toWorkers)
	late.err.await(t, "draining old: 1 hit is open")
	require.NoError(t, c.stdin.Close())
	late.out.await(t, "drained old")
	late.expect(exitOK)
	require.Equal(t, "1\n", troupe(t, exitOK, old.clients, "call", "count", "5").out.String(), "whoever comes late is sent on")
	require.Regexp(t, `(?m)^w +serving `, troupe(t, exitOK, other.clients, "worker", "list").out.String())
	require.Contains(t, troupe(t, exitUsage, old.clients, "drain", "broker", "--clients-to", "nowhere").err.String(), "cannot connect nowhere")
}
