package keys_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/patterns/assigner/keys"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

func errorsIs(err, target error) bool { return errors.Is(err, target) }

// TestRevocationCutsLivePeers: the broker notices by itself that its list has changed.
func TestRevocationCutsLivePeers(t *testing.T) {
	l := newLocksmith(t)
	ann, bob, w1 := l.add("ann", "client=wait"), l.add("bob", "client=wait"), l.add("w1", "worker=*")
	alien := l.add("alien", "client=*")
	site := rig.NewSite(t, rig.TCP)
	b := site.Broker(l.locked)
	ended := make(chan string, 4)
	began := make(chan string, 4)
	site.Worker(rig.Services{"wait": {Handler: func(ctx context.Context, c *assigner.Call) ([]byte, error) {
		began <- string(c.Body())
		<-ctx.Done()
		ended <- string(c.Body())
		return nil, ctx.Err()
	}}}, workerKey(w1))
	failed := make(map[string]chan error)
	for name, key := range map[string]func(*assigner.ClientConfig){"ann": clientKey(ann), "bob": clientKey(bob)} {
		h, err := site.Client(key).Open(rig.Context(t), "wait")
		require.NoError(t, err)
		failed[name] = make(chan error, 1)
		go func() {
			_, err := h.Call(context.Background(), []byte(name))
			failed[name] <- err
		}()
		require.Equal(t, name, rig.Receive(t, began, "the call"))
	}
	foreigner := foreign(t, "hello", site.Clients, &alien)
	foreigner.Await(said(wire.Welcome, 0))

	l.revoke("alien")
	require.Contains(t, foreigner.Await(said(wire.Error, wire.Refused)), "revoked")
	foreigner.Await("gone")
	foreigner.Await("handshake auth")

	l.revoke("ann")
	require.ErrorIs(t, rig.Receive(t, failed["ann"], "the end of ann's call"), assigner.ErrBrokerGone)
	require.Equal(t, "ann", rig.Receive(t, ended, "the end of ann's session"), "her thread is free")

	l.revoke("w1")
	err := rig.Receive(t, failed["bob"], "the end of bob's call")
	require.ErrorIs(t, err, assigner.ErrWorkerGone, "who is not revoked goes on, and hears of the worker")
	var e *assigner.Error
	require.ErrorAs(t, err, &e)
	require.Contains(t, string(e.Why), `"revoked"`)
	require.EqualValues(t, 3, b.Counters()["keys_read"])
}

// TestListThatCannotBeRead: the list before stays in force, and nobody is let in or cut by a mistake.
func TestListThatCannotBeRead(t *testing.T) {
	l := newLocksmith(t)
	ann := l.add("ann", "client=upper")
	site := rig.NewSite(t, rig.TCP)
	b := site.Broker(l.locked)
	c := site.Client(clientKey(ann))
	require.NoError(t, c.Ready(rig.Context(t)))
	list := filepath.Join(l.dir.Path, keys.AuthorizedFile)
	good, err := os.ReadFile(list)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(list, append(good, "half a li"...), 0o600))
	require.ErrorContains(t, b.ReloadKeys(), "line 3")
	require.NoError(t, site.Client(clientKey(ann)).Ready(rig.Context(t)))
	require.NotZero(t, b.Counters()["keys_unreadable"])
	require.NoError(t, os.Remove(list))
	require.ErrorIs(t, b.ReloadKeys(), keys.ErrNoKeys)
	require.NoError(t, os.WriteFile(list, good, 0o600))
	require.NoError(t, b.ReloadKeys())
	require.NoError(t, c.Ready(rig.Context(t)))
}
