package keys_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// hosts are two network namespaces with a cable between them.
type hosts struct{ t *testing.T }

const brokerAddress, peerAddress = "10.213.77.1", "10.213.77.2"

func (h hosts) name(end string) string { return fmt.Sprintf("trp%d-%s", os.Getpid(), end) }

func (h hosts) try(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// newHosts makes the namespaces, or skips the test where this user or machine has none.
func newHosts(t *testing.T) hosts {
	t.Helper()
	h := hosts{t}
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root: nothing is said about two hosts")
	}
	t.Cleanup(func() {
		_ = h.try("netns", "del", h.name("a"))
		_ = h.try("netns", "del", h.name("b"))
	})
	for _, args := range [][]string{
		{"netns", "add", h.name("a")},
		{"netns", "add", h.name("b")},
		{"-n", h.name("a"), "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", h.name("b")},
	} {
		if err := h.try(args...); err != nil {
			t.Skipf("this machine has no network namespaces: nothing is said about two hosts: %v", err)
		}
	}
	for end, address := range map[string]string{"a": brokerAddress, "b": peerAddress} {
		require.NoError(t, h.try("-n", h.name(end), "addr", "add", address+"/24", "dev", "cable"))
		require.NoError(t, h.try("-n", h.name(end), "link", "set", "cable", "up"))
		require.NoError(t, h.try("-n", h.name(end), "link", "set", "lo", "up"))
	}
	return h
}

// TestBetweenHosts: a broker on an address that others can reach needs no --insecure with keys, and serves those who have one.
func TestBetweenHosts(t *testing.T) {
	h := newHosts(t)
	l := newLocksmith(t)
	ann, w1 := l.add("ann", "client=upper"), l.add("w1", "worker=upper")
	at := []string{"tcp://" + brokerAddress + ":0"}
	plain := assigner.BrokerConfig{Clients: at, Workers: at}
	require.ErrorIs(t, plain.Validate(), assigner.ErrInsecure)
	cfg := plain
	l.locked(&cfg)
	require.NoError(t, cfg.Validate())
	b := rig.SpawnIn(t, h.name("a"), "broker", cfg)
	clients, workers := b.Await("clients "), b.Await("workers ")
	peers := rig.SpawnIn(t, h.name("b"), "peers", peersConfig{clients, workers, ann.String(), w1.String()})
	require.Equal(t, "HELLO", peers.Await("reply "))
	server, secret := ann.Broker.String(), l.stranger().Secret.String()
	rig.PythonIn(t, h.name("b"), "testdata/foreign.py", "hello", clients, server, secret).Await("handshake auth")
	rig.PythonIn(t, h.name("b"), "testdata/foreign.py", "hello", clients, "-", "-").Await("gone")
}
