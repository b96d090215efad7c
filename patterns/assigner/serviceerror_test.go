package assigner_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

func TestAServiceTellsWhy(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	b, err := assigner.NewBroker(assigner.BrokerConfig{Clients: []string{"tcp://127.0.0.1:0"}, Workers: []string{"tcp://127.0.0.1:0"}, Logger: quiet()})
	require.NoError(t, err)
	require.NoError(t, b.Start(ctx))
	fails := func(_ context.Context, c *assigner.Call) ([]byte, error) {
		switch string(c.Body()) {
		case "told":
			return nil, fmt.Errorf("row 7: %w", &assigner.ServiceError{Text: "no room", Why: json.RawMessage(`{"code":13}`)})
		case "silent":
			return nil, &assigner.ServiceError{Text: "no room"}
		}
		return nil, errors.New("plain")
	}
	w, err := assigner.NewWorker(assigner.WorkerConfig{Broker: b.WorkerEndpoints()[0], Logger: quiet(), Services: map[string]assigner.Service{"fails": {Handler: fails}}})
	require.NoError(t, err)
	require.NoError(t, w.Start(ctx))
	c, err := assigner.Dial(ctx, assigner.ClientConfig{Broker: b.ClientEndpoints()[0], Logger: quiet()})
	require.NoError(t, err)
	hit, err := c.Open(ctx, "fails")
	require.NoError(t, err)
	for body, want := range map[string]struct{ text, why string }{"told": {"row 7: no room", `{"code":13}`}, "silent": {"no room", ""}, "plain": {"plain", ""}} {
		for _, call := range []func() ([]byte, error){
			func() ([]byte, error) { return hit.Call(ctx, []byte(body)) },
			func() ([]byte, error) { return c.Do(ctx, "fails", []byte(body)) },
		} {
			_, err := call()
			var failed *assigner.Error
			require.ErrorAs(t, err, &failed)
			require.ErrorIs(t, err, assigner.ErrService)
			require.Equal(t, want.text, failed.Text)
			require.Equal(t, want.why, string(failed.Why))
			require.Equal(t, assigner.Finished, failed.Outcome)
		}
	}
	require.NoError(t, hit.Close(ctx))
	require.NoError(t, c.Close(ctx))
	require.NoError(t, w.Close(ctx))
	require.NoError(t, b.Close(ctx))
}
