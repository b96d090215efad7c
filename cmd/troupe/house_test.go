package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// house is a running broker, and how commands find it.
type house struct {
	broker  *process
	clients string // TROUPE_BROKER=...
	workers string // TROUPE_WORKERS=...
}

type brokerSaid struct {
	Broker           string
	PID              int
	Clients, Workers []string
}

// newHouse starts a broker on a free port and on a Unix socket.
func newHouse(t *testing.T, flags ...string) *house {
	t.Helper()
	folder, err := os.MkdirTemp("", "troupe") //nolint:usetesting // its own folder may be too long for a socket's path
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
	b := start(t, append([]string{"broker", "-o", "json", "--client", "tcp://127.0.0.1:0", "--worker", "ipc://" + folder + "/w"}, flags...)...)
	var said brokerSaid
	require.NoError(t, json.Unmarshal([]byte(b.out.await(t, "clients")), &said))
	return &house{broker: b, clients: clientsEnv + "=" + said.Clients[0], workers: workersEnv + "=" + said.Workers[0]}
}

// worker starts a worker and waits until it is registered.
func (h *house) worker(t *testing.T, flags ...string) *process {
	t.Helper()
	w := start(t, append([]string{h.workers, "worker"}, flags...)...)
	w.out.await(t, "worker")
	return w
}

// hit opens a hit that waits for lines, and returns its client and its handle.
func (h *house) hit(t *testing.T, service string, flags ...string) (*process, string) {
	t.Helper()
	c := start(t, append([]string{h.clients, "call", "--hit", service}, flags...)...)
	handle, _, _ := strings.Cut(strings.TrimPrefix(c.err.await(t, "hit "), "hit "), ":")
	return c, handle
}
