package keys_test

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/access"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/patterns/assigner/keys"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

func TestMain(m *testing.M) {
	rig.Main(m, map[string]rig.Role{"broker": rig.BrokerRole, "peers": peersRole})
}

func upper(_ context.Context, c *assigner.Call) ([]byte, error) { return bytes.ToUpper(c.Body()), nil }

// peersConfig is what a process with a worker and a client is told.
type peersConfig struct{ Clients, Workers, ClientKey, WorkerKey string }

// peersRole runs a worker, makes a call and says what came of it.
func peersRole(ctx context.Context, stage *rig.Stage) error {
	var cfg peersConfig
	if err := stage.Config(&cfg); err != nil {
		return err
	}
	w, err := assigner.NewWorker(assigner.WorkerConfig{Broker: cfg.Workers, Key: cfg.WorkerKey, Services: rig.Services{"upper": {Handler: upper}}})
	if err != nil {
		return err
	}
	if err := w.Start(ctx); err != nil {
		return err
	}
	c, err := assigner.Dial(ctx, assigner.ClientConfig{Broker: cfg.Clients, Key: cfg.ClientKey})
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, rig.Patience)
	defer cancel()
	reply, err := c.Do(limited, "upper", []byte("hello"))
	if err != nil {
		return err
	}
	stage.Say("reply %s", reply)
	<-ctx.Done()
	_ = c.Close(context.Background())
	return w.Close(context.Background())
}

// locksmith keeps the keys of a test's broker.
type locksmith struct {
	t      *testing.T
	dir    keys.Dir
	broker access.Key
}

func newLocksmith(t *testing.T) *locksmith {
	t.Helper()
	d, _, err := keys.Init(filepath.Join(t.TempDir(), "keys"))
	require.NoError(t, err)
	public, err := d.Public()
	require.NoError(t, err)
	return &locksmith{t, d, public}
}

// add lists a peer with rights as the file has them, and returns its key.
func (l *locksmith) add(name, rights string) access.Handed {
	l.t.Helper()
	h, public, err := keys.Make(l.broker)
	require.NoError(l.t, err)
	require.NoError(l.t, l.dir.Update(func(b *access.Book) (*access.Book, error) {
		return access.Parse(b.Format() + name + " " + public.String() + " " + rights + "\n")
	}))
	return h
}

func (l *locksmith) revoke(name string) {
	l.t.Helper()
	require.NoError(l.t, l.dir.Update(func(b *access.Book) (*access.Book, error) { return b.Without(name), nil }))
}

// stranger is a key for this broker that it does not know.
func (l *locksmith) stranger() access.Handed {
	l.t.Helper()
	h, _, err := keys.Make(l.broker)
	require.NoError(l.t, err)
	return h
}

// locked returns a change of a broker's configuration.
func (l *locksmith) locked(c *assigner.BrokerConfig) { c.Keys = l.dir.Path }

func clientKey(h access.Handed) func(*assigner.ClientConfig) {
	return func(c *assigner.ClientConfig) { c.Key = h.String() }
}

func workerKey(h access.Handed) func(*assigner.WorkerConfig) {
	return func(c *assigner.WorkerConfig) { c.Key = h.String() }
}

// brokerProcess starts a broker with these keys in a process of its own, and returns its endpoints for clients and for workers.
func (l *locksmith) brokerProcess(cfg assigner.BrokerConfig) (clients, workers string) {
	l.t.Helper()
	l.locked(&cfg)
	p := rig.Spawn(l.t, "broker", cfg)
	return p.Await("clients "), p.Await("workers ")
}

var free = []string{"tcp://127.0.0.1:0"}
