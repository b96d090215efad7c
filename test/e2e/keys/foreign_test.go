package keys_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/access"
	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

func foreign(t *testing.T, what, endpoint string, key *access.Handed) *rig.Process {
	t.Helper()
	server, secret := "-", "-"
	if key != nil {
		server, secret = key.Broker.String(), key.Secret.String()
	}
	return rig.Python(t, "testdata/foreign.py", what, endpoint, server, secret)
}

func said(t wire.Type, s wire.Status) string { return fmt.Sprintf("said %d %d ", t, s) }

// TestForeignPeers lets a program that knows ZeroMQ only knock at a broker in a process of its own.
func TestForeignPeers(t *testing.T) {
	l := newLocksmith(t)
	ann, w1 := l.add("ann", "client=upper"), l.add("w1", "worker=upper")
	root := l.add("root", "admin")
	clients, workers := l.brokerProcess(assigner.BrokerConfig{Clients: free, Workers: free})
	wrong, elsewhere := l.stranger(), ann
	elsewhere.Broker = newLocksmith(t).broker

	foreign(t, "hello", clients, &ann).Await(said(wire.Welcome, 0))
	foreign(t, "ready", workers, &w1).Await(said(wire.Welcome, 0))
	foreign(t, "hello", clients, &wrong).Await("handshake auth")
	foreign(t, "ready", workers, &wrong).Await("handshake auth")
	foreign(t, "hello", clients, &elsewhere).Await("handshake unexplained")
	// Whoever of the two reads the other's greeting first sees why, and closes.
	foreign(t, "hello", clients, nil).Await("gone")
	foreign(t, "ready", workers, nil).Await("gone")
	require.Contains(t, foreign(t, "hello", clients, &w1).Await(said(wire.Error, wire.Refused)), "refused as a client")
	require.Contains(t, foreign(t, "ready", workers, &ann).Await(said(wire.Error, wire.Refused)), "refused as a worker for upper")

	var s machine.StatusReport
	rig.Until(t, "the broker has counted those without encryption", func() bool {
		s = status(t, clients, root)
		return s.Counters["handshakes_other-mechanism"]+s.Counters["handshakes_unexplained"] > 0
	})
	for _, name := range []string{"handshakes_key-refused", "handshakes_wrong-server-key", "handshakes_admitted", "refused_refused"} {
		require.NotZero(t, s.Counters[name], "%s of %v", name, s.Counters)
	}
	require.EqualValues(t, 1, s.Access.Clients)
	require.EqualValues(t, 1, s.Access.Workers)
	require.Equal(t, 1, s.Workers, "nobody else has come in")
}

func status(t *testing.T, clients string, key access.Handed) (s machine.StatusReport) {
	t.Helper()
	ctx := rig.Context(t)
	c, err := assigner.Dial(ctx, assigner.ClientConfig{Broker: clients, Key: key.String(), Logger: rig.Logger(t)})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close(ctx)) }()
	report, err := c.Admin(ctx, machine.AdminRequest{Cmd: "status"})
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(report, &s))
	return s
}

// TestKeysOnEveryPath calls over an encrypted connection, and over those that the system guards, at once.
func TestKeysOnEveryPath(t *testing.T) {
	for _, perFrame := range []bool{false, true} {
		t.Run(fmt.Sprintf("perFrame=%v", perFrame), func(t *testing.T) {
			l := newLocksmith(t)
			ann, w1 := l.add("ann", "client=upper"), l.add("w1", "worker=upper")
			site := rig.NewSite(t, rig.Path{Transport: "tcp", PerFrame: perFrame})
			ipc, inproc := rig.Path{Transport: "ipc"}.Endpoint(t), rig.Path{Transport: "inproc"}.Endpoint(t)
			abstract := "ipc://@" + strings.ReplaceAll(strings.TrimPrefix(ipc, "ipc://"), "/", "-")
			b := site.Broker(l.locked, func(c *assigner.BrokerConfig) { c.Clients = []string{ipc, site.Clients, inproc, abstract} })
			require.Equal(t, []string{ipc, site.Clients, inproc, abstract}, b.ClientEndpoints(), "in their order")
			site.Worker(rig.Services{"upper": {Handler: upper}}, workerKey(w1))
			for _, at := range []string{site.Clients, ipc, inproc, abstract} {
				c := site.Client(clientKey(ann), func(c *assigner.ClientConfig) { c.Broker = at })
				reply, err := c.Do(rig.Context(t), "upper", []byte("hello"))
				require.NoError(t, err, at)
				require.Equal(t, "HELLO", string(reply))
				_, err = c.Admin(rig.Context(t), machine.AdminRequest{Cmd: "status"})
				if at == site.Clients || at == abstract {
					require.ErrorIs(t, err, assigner.ErrRefused, at)
					_, err = c.Open(rig.Context(t), "echo")
					require.ErrorContains(t, err, "troupe keys add ann --extend --client echo")
				} else {
					require.NoError(t, err, "whoever can reach %s may everything", at)
				}
			}
		})
	}
}

// TestOneSideEncrypts: neither end falls back to plain text, and both are told why.
func TestOneSideEncrypts(t *testing.T) {
	l := newLocksmith(t)
	ann := l.add("ann", "client=upper")
	locked, open := rig.NewSite(t, rig.TCP), rig.NewSite(t, rig.TCP)
	locked.Broker(l.locked)
	open.Broker()
	for _, c := range []*assigner.Client{locked.Client(), open.Client(clientKey(ann)), locked.Client(clientKey(l.stranger()))} {
		requireTurnedAway(t, c)
	}
	w := locked.Worker(rig.Services{"upper": {Handler: upper}})
	rig.Until(t, "the worker is told", func() bool { return w.Refusal() != "" })
}

// requireTurnedAway waits until the client knows that the broker does not let it in.
func requireTurnedAway(t *testing.T, c *assigner.Client) {
	t.Helper()
	rig.Until(t, "the client is told", func() bool {
		ctx, cancel := context.WithCancel(rig.Context(t))
		cancel() // what is known now
		err := c.Ready(ctx)
		require.Error(t, err)
		return errorsIs(err, assigner.ErrRefused) || strings.Contains(err.Error(), "closed during the handshake")
	})
}
