package e2e_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// Endpoints that cannot be used, and rights that are not given: what, why, and what to do.

// startBroker starts a broker on one endpoint for clients, and returns why it cannot be.
func startBroker(ctx context.Context, cfg assigner.BrokerConfig) error {
	b, err := assigner.NewBroker(cfg)
	if err != nil {
		return err
	}
	if err := b.Start(ctx); err != nil {
		return err
	}
	return b.Close(ctx)
}

func TestBadEndpoints(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	tries := []struct {
		endpoint string
		cause    error
		text     []string
	}{
		{"127.0.0.1:5700", zmqsock.ErrBadEndpoint, []string{"cannot bind 127.0.0.1:5700", "write it as tcp://127.0.0.1:5700"}},
		{"udp://127.0.0.1:5700", zmqsock.ErrBadEndpoint, []string{`the transport "udp" is not supported`, "use tcp, ipc or inproc"}},
		{"tcp://127.0.0.1", zmqsock.ErrBadEndpoint, []string{"write tcp endpoints as tcp://HOST:PORT"}},
		{"tcp://127.0.0.1:many", zmqsock.ErrBadEndpoint, []string{`the port "many" is not a number`}},
		{"tcp://127.0.0.1:70000", zmqsock.ErrBadEndpoint, []string{`the port "70000" is not a number from 1 to 65535`}},
		{"ipc:///" + strings.Repeat("long/", 30), zmqsock.ErrBadEndpoint, []string{"a Unix socket's at most 107", "use a shorter one"}},
		{"ipc:///nowhere/at/all", syscall.ENOENT, []string{"the folder does not exist: create it first"}},
		{"tcp://0.0.0.0:0", assigner.ErrInsecure, []string{"other machines can reach it", "BrokerConfig.Insecure"}},
		{"tcp://192.0.2.1:5700", assigner.ErrInsecure, []string{"other machines can reach it", "BrokerConfig.Insecure"}},
		{"tcp://" + taken.Addr().String(), syscall.EADDRINUSE, []string{"another process holds it", "choose another endpoint"}},
	}
	for _, bad := range tries {
		t.Run(bad.endpoint, func(t *testing.T) {
			site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
			for _, side := range []string{"clients", "workers"} {
				cfg := site.BrokerConfig()
				if side == "clients" {
					cfg.Clients = []string{bad.endpoint}
				} else {
					cfg.Workers = append(cfg.Workers, bad.endpoint) // the good one first
				}
				err := startBroker(ctx, cfg)
				require.ErrorIs(t, err, bad.cause)
				var e *zmqsock.EndpointError
				require.ErrorAs(t, err, &e)
				require.Equal(t, bad.endpoint, e.Endpoint)
				for _, text := range bad.text {
					require.ErrorContains(t, err, text)
				}
			}
			site.Broker() // nothing of the failed ones stays behind
		})
	}
}

// TestAnEndpointInUse: a second broker on the endpoints of a living one is refused, and the first has noticed nothing.
func TestAnEndpointInUse(t *testing.T) {
	rig.EachPath(t, func(t *testing.T, p rig.Path) {
		site, ctx := rig.NewSite(t, p), rig.Context(t)
		site.Broker()
		site.Worker(rig.Services{"echo": echo})
		verify := converse(t, ctx, site.Client())
		for range 3 {
			err := startBroker(ctx, site.BrokerConfig())
			require.ErrorIs(t, err, syscall.EADDRINUSE)
			require.ErrorContains(t, err, site.Workers)
			require.ErrorContains(t, err, "choose another")
		}
		verify()
		requireReply(t, ctx, open(t, ctx, site.Client(), "echo"), "still here", "still here")
	})
}

// TestBadEndpointsOfPeers: clients and workers refuse what can never be connected to.
func TestBadEndpointsOfPeers(t *testing.T) {
	ctx := rig.Context(t)
	for _, endpoint := range []string{"nonsense", "tcp://127.0.0.1:0", "tcp://127.0.0.1:*", "udp://127.0.0.1:5700"} {
		_, err := assigner.Dial(ctx, assigner.ClientConfig{Broker: endpoint})
		require.ErrorIs(t, err, zmqsock.ErrBadEndpoint)
		require.ErrorContains(t, err, "cannot connect "+endpoint)
		_, err = assigner.NewWorker(assigner.WorkerConfig{Broker: endpoint, Services: rig.Services{"echo": echo}})
		require.ErrorIs(t, err, zmqsock.ErrBadEndpoint)
	}
}

// unprivilegedRole gives up all rights, tries to bind endpoints and says what came of it.
func unprivilegedRole(ctx context.Context, stage *rig.Stage) error {
	var endpoints []string
	if err := stage.Config(&endpoints); err != nil {
		return err
	}
	const nobody = 65534
	if os.Geteuid() == 0 {
		if err := syscall.Setuid(nobody); err != nil {
			return err
		}
	}
	for _, e := range endpoints {
		err := startBroker(ctx, assigner.BrokerConfig{Clients: []string{e}, Workers: []string{"tcp://127.0.0.1:0"}})
		stage.Say("tried %v", err)
	}
	<-ctx.Done()
	return nil
}

// TestAPortWithoutRights, and a folder without rights.
func TestAPortWithoutRights(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o555))
	endpoints := []string{"ipc://" + filepath.Join(dir, "s")}
	first, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	require.NoError(t, err)
	if n, err := strconv.Atoi(strings.TrimSpace(string(first))); err == nil && n > 1 {
		endpoints = append(endpoints, "tcp://127.0.0.1:1")
	} else {
		t.Logf("this machine lets everybody bind port 1 (ip_unprivileged_port_start is %s), so only the folder is tried", strings.TrimSpace(string(first)))
	}
	p := rig.Spawn(t, "unprivileged", endpoints)
	for _, e := range endpoints {
		said := p.Await("tried ")
		require.Contains(t, said, "cannot bind "+e)
		require.Contains(t, said, syscall.EACCES.Error())
		require.Contains(t, said, "this user has no right to it: choose a port above 1023, or a path in a folder that is yours")
	}
	require.NoError(t, p.Finish())
}

// TestRefusedToAdminister: where ADMIN is off, a client may not ask; its own hits go on.
func TestRefusedToAdminister(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	b := site.Broker(func(c *assigner.BrokerConfig) { c.Admin = assigner.AdminOff })
	site.Worker(rig.Services{"echo": echo})
	c := site.Client()
	h := open(t, ctx, c, "echo")
	for _, cmd := range []string{"status", "hit.list", "hit.kill", "worker.list"} {
		_, err := c.Admin(ctx, map[string]string{"cmd": cmd, "hit": fmt.Sprintf("%x", h.Handle())})
		require.Contains(t, requireError(t, err, assigner.ErrRefused, assigner.NeverStarted).text, "ADMIN")
	}
	require.EqualValues(t, 4, b.Counters()["refused_refused"])
	requireReply(t, ctx, h, "untouched", "untouched")
}

// TestAdministeredBadly: commands that do not exist, or name no hit.
func TestAdministeredBadly(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	site.Broker()
	c := site.Client()
	for cmd, text := range map[string]string{"dance": "dance", "hit.kill": "hit"} {
		reply, err := c.Admin(ctx, map[string]string{"cmd": cmd})
		require.NoError(t, err)
		require.Contains(t, string(reply), `"error":`)
		require.Contains(t, string(reply), text)
	}
}
