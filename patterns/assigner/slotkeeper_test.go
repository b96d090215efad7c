package assigner_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// Slots are made when hits find none free, and given up when they were idle for long; the broker counts along.
func TestSlotsGrowAndRetire(t *testing.T) {
	b := startBroker(t)
	w := startWorker(t, b.WorkerEndpoints()[0], services{"echo": {Handler: echoBack}}, func(c *assigner.WorkerConfig) {
		c.Slots, c.MaxSlots, c.SlotIdle = 1, 4, 30*time.Millisecond
	})
	receive(t, w.Welcomed(), "the welcome")
	c := dialAll(t, nil, b.ClientEndpoints()[0])
	for round := range 3 {
		var hits []*assigner.Hit
		for range 4 {
			h, err := c.Open(limited(t), "echo")
			require.NoError(t, err)
			hits = append(hits, h)
		}
		require.Equal(t, 4, w.Stats().Slots)
		require.Equal(t, 4, w.Stats().Used)
		for _, h := range hits {
			require.NoError(t, h.Close(limited(t)))
		}
		until(t, "the idle slots are retired", func() bool { return w.Stats().Slots == 1 })
		require.EqualValues(t, 3*(round+1), w.Stats().Grown)
		require.EqualValues(t, 3*(round+1), w.Stats().Retired)
	}
	require.Zero(t, w.Stats().Refused)
}

// Two brokers and one set of slots: never more sessions at once than slots, and no open fails.
func TestBrokersShareSlotsAndNeverGiveOneTwice(t *testing.T) {
	a, b := startBroker(t), startBroker(t)
	var inside, most atomic.Int64
	const slots = 3
	w := startWorker(t, "", services{"count": {Threads: assigner.Goroutines, Open: func(context.Context, *assigner.Opening) (assigner.Session, error) {
		n := inside.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		return &counted{&inside}, nil
	}}}, func(c *assigner.WorkerConfig) {
		c.Brokers, c.Slots = []string{a.WorkerEndpoints()[0], b.WorkerEndpoints()[0]}, slots
	})
	receive(t, w.Welcomed(), "the welcome")
	c := dialAll(t, nil, a.ClientEndpoints()[0], b.ClientEndpoints()[0])
	registered(t, c, 2)
	failed := make(chan error, 8)
	for range 8 {
		go func() {
			var err error
			for i := 0; i < 100 && err == nil; i++ {
				_, err = c.Do(limited(t), "count", []byte("x"))
			}
			failed <- err
		}()
	}
	for range 8 {
		require.NoError(t, receive(t, failed, "a caller"))
	}
	require.LessOrEqual(t, most.Load(), int64(slots))
	require.Zero(t, inside.Load())
}

// counted is a session that is counted while it stands.
type counted struct{ inside *atomic.Int64 }

func (s *counted) Call(_ context.Context, c *assigner.Call) ([]byte, error) { return c.Body(), nil }
func (s *counted) Close() error                                             { s.inside.Add(-1); return nil }

func TestMistakesInSlots(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*assigner.WorkerConfig)
		says   string
	}{
		"least over most": {func(c *assigner.WorkerConfig) { c.Slots, c.MaxSlots = 4, 2 }, "MaxSlots"},
		"too many":        {func(c *assigner.WorkerConfig) { c.MaxSlots = 70000 }, "MaxSlots"},
		"twice":           {func(c *assigner.WorkerConfig) { c.Brokers = []string{nobody, nobody} }, "names " + nobody + " twice"},
		"both":            {func(c *assigner.WorkerConfig) { c.Broker, c.Brokers = nobody, []string{nobody} }, "set one of the two"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := assigner.WorkerConfig{Services: services{"echo": {Handler: echoBack}}}
			tc.change(&cfg)
			_, err := assigner.NewWorker(cfg)
			require.ErrorContains(t, err, tc.says)
		})
	}
}
