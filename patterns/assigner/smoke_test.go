package assigner_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestSmoke(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	b, err := assigner.NewBroker(assigner.BrokerConfig{Clients: []string{"tcp://127.0.0.1:0"}, Workers: []string{"tcp://127.0.0.1:0"}, Logger: quiet(), Poison: true, Grace: -1})
	require.NoError(t, err)
	require.NoError(t, b.Start(ctx))
	w, err := assigner.NewWorker(assigner.WorkerConfig{Broker: b.WorkerEndpoints()[0], Slots: 4, Logger: quiet(), Services: map[string]assigner.Service{
		"upper": {Handler: func(_ context.Context, c *assigner.Call) ([]byte, error) { return bytes.ToUpper(c.Body()), nil }},
	}})
	require.NoError(t, err)
	require.NoError(t, w.Start(ctx))
	c, err := assigner.Dial(ctx, assigner.ClientConfig{Broker: b.ClientEndpoints()[0], Logger: quiet()})
	require.NoError(t, err)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			h, err := c.Open(ctx, "upper")
			if !assertNo(t, err) {
				return
			}
			for k := range 20 {
				r, err := h.Call(ctx, fmt.Appendf(nil, "a%d-%d", i, k))
				if !assertNo(t, err) {
					return
				}
				if want := fmt.Sprintf("A%d-%d", i, k); string(r) != want {
					t.Errorf("got %q, want %q", r, want)
				}
			}
			assertNo(t, h.Close(ctx))
			r, err := c.Do(ctx, "upper", []byte("one"))
			assertNo(t, err)
			if string(r) != "ONE" {
				t.Errorf("got %q", r)
			}
		})
	}
	wg.Wait()
	_, err = c.Do(ctx, "lower", nil)
	require.ErrorIs(t, err, assigner.ErrUnknownService)
	require.NoError(t, c.Close(ctx))
	require.NoError(t, w.Close(ctx))
	require.NoError(t, b.Close(ctx))
}

func assertNo(t *testing.T, err error) bool {
	if err != nil {
		t.Error(err)
	}
	return err == nil
}
