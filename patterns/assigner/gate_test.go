package assigner_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/access"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/patterns/assigner/keys"
)

// locked starts a broker with keys, and returns a key that may everything.
func locked(t *testing.T, ctx *zmqsock.Context) (*assigner.Broker, string) {
	t.Helper()
	d, _, err := keys.Init(filepath.Join(t.TempDir(), "keys"))
	require.NoError(t, err)
	broker, err := d.Public()
	require.NoError(t, err)
	h, public, err := keys.Make(broker)
	require.NoError(t, err)
	all := access.Services{access.All}
	require.NoError(t, d.Update(func(b *access.Book) (*access.Book, error) {
		return b.With(access.Entry{Name: "ann", Key: public, Rights: access.Rights{Client: all, Worker: all, Admin: true}})
	}))
	at := []string{"tcp://127.0.0.1:0"}
	b, err := assigner.NewBroker(assigner.BrokerConfig{Clients: at, Workers: at, Keys: d.Path, Logger: slog.New(slog.DiscardHandler), Context: ctx})
	require.NoError(t, err)
	require.NoError(t, b.Start(limited(t)))
	return b, h.String()
}

// TestBrokerEndsWhenNobodyJudgesKeys: it does not go on without its guard, and no more does it let anybody in.
func TestBrokerEndsWhenNobodyJudgesKeys(t *testing.T) {
	b, key := locked(t, nil)
	c, err := assigner.Dial(limited(t), assigner.ClientConfig{Broker: b.ClientEndpoints()[0], Key: key, Logger: quiet()})
	require.NoError(t, err)
	defer func() { _ = c.Close(limited(t)) }()
	require.NoError(t, c.Ready(limited(t)))
	b.FailGuard("a test wants it")
	err = b.Wait(limited(t))
	require.ErrorIs(t, err, zmqsock.ErrGuardDied)
	require.ErrorContains(t, err, "a test wants it")
	require.NoError(t, b.Close(limited(t)))
}

// TestBrokersOfOneContext share a handler, and each knows its own peers.
func TestBrokersOfOneContext(t *testing.T) {
	ctx, err := zmqsock.NewContext()
	require.NoError(t, err)
	one, keyOne := locked(t, ctx)
	two, keyTwo := locked(t, ctx)
	meet := func(b *assigner.Broker, key string) *assigner.Client {
		c, err := assigner.Dial(limited(t), assigner.ClientConfig{Broker: b.ClientEndpoints()[0], Key: key, Logger: quiet(), Context: ctx})
		require.NoError(t, err)
		return c
	}
	a, b := meet(one, keyOne), meet(two, keyTwo)
	require.NoError(t, a.Ready(limited(t)))
	require.NoError(t, b.Ready(limited(t)))
	require.NoError(t, a.Close(limited(t)))
	require.NoError(t, one.Close(limited(t)), "the first one has started the handler, and leaves it to the other")
	c := meet(two, keyTwo)
	require.NoError(t, c.Ready(limited(t)))
	for _, peer := range []*assigner.Client{b, c} {
		require.NoError(t, peer.Close(limited(t)))
	}
	require.NoError(t, two.Close(limited(t)))
	require.NoError(t, ctx.Term(), "nothing of the handler is left")
}

func TestKeysInConfigs(t *testing.T) {
	_, err := assigner.NewBroker(assigner.BrokerConfig{Keys: t.TempDir()})
	require.ErrorIs(t, err, keys.ErrNoKeys)
	require.ErrorContains(t, err, "troupe keys init")
	client := assigner.ClientConfig{Broker: assigner.DefaultClients, Key: "troupe1-secret"}
	require.ErrorContains(t, client.Validate(), "ClientConfig.Key")
	require.NotContains(t, client.Validate().Error(), "secret")
	worker := assigner.WorkerConfig{Broker: assigner.DefaultWorkers, Slots: 1, Key: "secret", Services: services{"x": {Handler: echo}}}
	require.ErrorContains(t, worker.Validate(), "WorkerConfig.Key")
	reached := assigner.BrokerConfig{Clients: []string{"tcp://0.0.0.0:0"}}
	require.ErrorIs(t, reached.Validate(), assigner.ErrInsecure)
	reached.Keys = "somewhere"
	require.NoError(t, reached.Validate(), "what is encrypted need not be insisted on")
	b, err := assigner.NewBroker(assigner.BrokerConfig{})
	require.NoError(t, err)
	require.ErrorContains(t, b.ReloadKeys(), "BrokerConfig.Keys")
}
