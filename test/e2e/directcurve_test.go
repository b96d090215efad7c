package e2e_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/access"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/patterns/assigner/keys"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// locked is a folder of keys, with one for a client and one for a worker.
func locked(t *testing.T) (dir string, client, worker access.Handed) {
	t.Helper()
	dir = t.TempDir() + "/keys"
	d, _, err := keys.Init(dir)
	require.NoError(t, err)
	broker, err := d.Public()
	require.NoError(t, err)
	add := func(name string, rights access.Rights) access.Handed {
		handed, public, err := keys.Make(broker)
		require.NoError(t, err)
		require.NoError(t, d.Update(func(b *access.Book) (*access.Book, error) {
			return b.With(access.Entry{Name: name, Key: public, Rights: rights})
		}))
		return handed
	}
	return dir, add("ann", access.Rights{Client: access.Services{"*"}}), add("wim", access.Rights{Worker: access.Services{"*"}})
}

// A worker with a key encrypts its own endpoint, too, and lets those in only whose key is made from a token that is still good.
func TestDirectOverCurve(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.Path{Transport: "tcp"}), rig.Context(t)
	dir, client, worker := locked(t)
	site.Broker(func(c *assigner.BrokerConfig) { c.Keys = dir })
	w := site.Worker(rig.Services{"echo": echo}, rig.Slots(4), direct, func(c *assigner.WorkerConfig) { c.Key = worker.String() })
	c := site.Client(func(c *assigner.ClientConfig) { c.Key = client.String() })
	h := openDirect(t, ctx, c, "echo")
	requireReply(t, ctx, h, "secret", "secret")

	raw := rig.NewRaw(t, site.Clients, func(c *zmqsock.Config) {
		c.Curve = &zmqsock.Curve{Secret: client.Secret.String(), Server: client.Broker.String()}
	}).Hello()
	raw.Say(wire.Header{Type: wire.Open, Flags: wire.Ref | wire.Direct, Hit: 1}, []byte("echo"), nil)
	opened := raw.Hear(wire.Opened)
	endpoint, token, key := string(opened.Frames[3]), opened.Frames[4], string(opened.Frames[5])
	require.Len(t, key, 40)
	mine := ticket{opened.Handle(), opened.Epoch, endpoint, ""}
	welcomed := w.Counters()["direct_welcomed"]
	stranger, err := zmqsock.NewKeyPair()
	require.NoError(t, err)
	var refused []*rig.Raw
	for _, curve := range map[string]*zmqsock.Curve{
		"in the clear":          nil,
		"with a key of its own": {Secret: stranger.Secret, Server: key},
		"with the broker's key": {Secret: client.Secret.String(), Server: key},
	} {
		r := rig.NewRaw(t, endpoint, func(c *zmqsock.Config) { c.Curve = curve })
		r.Say(wire.Header{Type: wire.Hello, Flags: wire.Direct, Hit: mine.handle}, []byte("{}"))
		refused = append(refused, r)
	}
	// The right one comes last: when it is in, the others have knocked.
	mine.token = hex.EncodeToString(token)
	r := rig.NewRaw(t, endpoint, func(c *zmqsock.Config) {
		c.Curve = &zmqsock.Curve{Secret: zmqsock.SecretKey(sha256.Sum256(append([]byte("HIT/1 direct "), token...))), Server: key}
	})
	require.Equal(t, wire.Welcome, knock(r, mine.handle, mine.token).Type)
	requireReply(t, ctx, h, "still", "still")
	require.Equal(t, welcomed+1, w.Counters()["direct_welcomed"])
	require.Zero(t, w.Counters()["token_wrong"], "they were not let in to say anything")
	for _, r := range refused {
		r.Close()
	}
	require.NoError(t, h.Close(ctx))
}

// A client that speaks with its broker in secret does not call its worker in the clear.
func TestDirectNeverFallsBackToPlain(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.Path{Transport: "tcp"}), rig.Context(t)
	dir, client, worker := locked(t)
	site.Broker(func(c *assigner.BrokerConfig) { c.Keys = dir })
	plain := rig.NewRaw(t, site.Workers, func(c *zmqsock.Config) {
		c.Curve = &zmqsock.Curve{Secret: worker.Secret.String(), Server: worker.Broker.String()}
	})
	plain.Say(wire.Header{Type: wire.Ready}, wire.JSON(wire.ReadyInfo{Name: "plain", Slots: 1, Services: []string{"echo"}, Direct: "tcp://127.0.0.1:9"}))
	plain.Hear(wire.Welcome)
	c := site.Client(func(c *assigner.ClientConfig) { c.Key = client.String() })
	failed := make(chan error, 1)
	go func() {
		_, err := c.OpenWith(ctx, assigner.OpenRequest{Service: "echo", Route: assigner.Direct})
		failed <- err
	}()
	begin := plain.Hear(wire.Begin)
	plain.Say(wire.Header{Type: wire.Opened, Hit: begin.Hit, Epoch: begin.Epoch})
	err := rig.Receive(t, failed, "the refusal")
	require.ErrorIs(t, err, assigner.ErrNoDirectWay)
	require.ErrorContains(t, err, "nothing is sent in the clear")
}
