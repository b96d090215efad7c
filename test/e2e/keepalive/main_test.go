package keepalive_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
	"github.com/troupe-mq/troupe/test/e2e/internal/tls"
)

func TestMain(m *testing.M) {
	rig.Main(m, map[string]rig.Role{"broker": rig.BrokerRole, "client": clientRole})
}

// limit is how long a peer may be silent, as some are told; others have patience for longer than any test lasts.
const (
	beat    = 50 * time.Millisecond
	limit   = 400 * time.Millisecond
	forEver = time.Hour
)

// clientConfig is what a client process is told.
type clientConfig struct {
	Broker  string
	Silence time.Duration
	Route   assigner.Route
}

// clientRole opens a hit of the service hold, and makes a call that does not end, and one-shots besides, one after another.
func clientRole(ctx context.Context, stage *rig.Stage) error {
	var cfg clientConfig
	if err := stage.Config(&cfg); err != nil {
		return err
	}
	c, err := assigner.Dial(ctx, assigner.ClientConfig{Broker: cfg.Broker, Heartbeat: beat, Silence: cfg.Silence})
	if err != nil {
		return err
	}
	h, err := c.OpenWith(ctx, assigner.OpenRequest{Service: "hold", Route: cfg.Route})
	if err != nil {
		return err
	}
	go func() { _, _ = h.Call(ctx, []byte("x")) }()
	go func() {
		for err := error(nil); err == nil; {
			_, err = c.Do(ctx, "chat", nil)
		}
	}()
	stage.Say("opened %d", h.Thread())
	<-ctx.Done()
	return c.Close(context.Background())
}

// guard is a service whose calls wait until they are cancelled. It tells what happens, on which threads.
type guard struct{ notes chan string }

func newGuard() *guard { return &guard{make(chan string, 64)} }

func (g *guard) service() assigner.Service {
	return assigner.Service{Open: func(context.Context, *assigner.Opening) (assigner.Session, error) { return watched{g}, nil }}
}

type watched struct{ *guard }

// Call is assigner.Session's.
func (w watched) Call(ctx context.Context, _ *assigner.Call) ([]byte, error) {
	w.notes <- fmt.Sprint("call ", tls.Thread())
	<-ctx.Done()
	return nil, ctx.Err()
}

// Close is assigner.Session's.
func (w watched) Close() error {
	w.notes <- fmt.Sprint("close ", tls.Thread())
	return nil
}

// expect takes the next note.
func (g *guard) expect(t *testing.T, note string) {
	t.Helper()
	require.Equal(t, note, rig.Receive(t, g.notes, note))
}

// begin makes a call that waits, and returns where its end is told.
func begin(t *testing.T, c *assigner.Client, service string) (*assigner.Hit, <-chan error) {
	t.Helper()
	h, err := c.Open(rig.Context(t), service)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := h.Call(context.WithoutCancel(rig.Context(t)), []byte("x"))
		ended <- err
	}()
	return h, ended
}

// requireGone requires that the connection to the broker was lost under a call.
func requireGone(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, assigner.ErrBrokerGone)
	var e *assigner.Error
	require.True(t, errors.As(err, &e))
	require.Equal(t, assigner.Unknown, e.Outcome)
}

// requireNone requires that nothing was told so far.
func requireNone[T any](t *testing.T, from <-chan T, what string) {
	t.Helper()
	select {
	case v := <-from:
		require.Fail(t, what, "%v", v)
	default:
	}
}

func patience(silence time.Duration) func(*assigner.ClientConfig) {
	return func(c *assigner.ClientConfig) { c.Heartbeat, c.Silence = beat, silence }
}

// ways are how a process can be gone.
func ways(t *testing.T, test func(t *testing.T, end func(*rig.Process))) {
	t.Run("killed", func(t *testing.T) { test(t, (*rig.Process).Kill) })
	t.Run("frozen", func(t *testing.T) { test(t, (*rig.Process).Freeze) })
}

// long skips what takes some seconds because the limits of the Python library cannot be shortened.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("the short form is about Go only: the limits of the Python library are seconds")
	}
}

// threadOf is a note about a hit's thread.
func threadOf(what string, h *assigner.Hit) string { return fmt.Sprint(what, " ", h.Thread()) }
