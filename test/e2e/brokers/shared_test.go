package brokers_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// Several brokers, and one worker with one set of slots that serves them all.

// quay is three brokers without workers.
func quay(t *testing.T) []*harbour {
	t.Helper()
	var all []*harbour
	for _, name := range []string{"one", "two", "three"} {
		all = append(all, newHarbour(t, name).start(t))
	}
	return all
}

// workers runs a test with workers in Go and in Python.
func workers(t *testing.T, test func(t *testing.T, spawn func(*testing.T, crewConfig) shared)) {
	t.Run("go", func(t *testing.T) { test(t, goWorker) })
	t.Run("python", func(t *testing.T) {
		if testing.Short() {
			t.Skip("the short form is about Go only")
		}
		test(t, pythonWorker)
	})
}

// TestNoSlotIsGivenTwice: clients of three brokers fight for the slots of one worker, which watches its threads from within.
func TestNoSlotIsGivenTwice(t *testing.T) {
	workers(t, func(t *testing.T, spawn func(*testing.T, crewConfig) shared) {
		for name, cfg := range map[string]crewConfig{
			"fixed":   {Slots: 3},
			"growing": {Slots: 1, MaxSlots: 4, SlotIdle: 20 * time.Millisecond},
		} {
			t.Run(name, func(t *testing.T) {
				all, ctx := quay(t), rig.Context(t)
				cfg.Brokers, cfg.Name = workersAt(all), "shared"
				w := spawn(t, cfg)
				rounds := 15
				if testing.Short() {
					rounds = 8
				}
				fight(t, ctx, all, rounds)
				rig.Until(t, "all slots are free", func() bool { return w.told(t).Open == 0 })
				a := w.told(t)
				require.LessOrEqual(t, a.Most, max(cfg.Slots, cfg.MaxSlots))
				require.Greater(t, a.Most, cfg.Slots-1, "the slots were fought for")
				require.GreaterOrEqual(t, a.Opened, 8*rounds)
				for _, h := range all {
					s := h.status(t, ctx)
					require.Zero(t, s.Totals.Crashed)
					require.Zero(t, s.Totals.Lost, "the worker is lost to none of them")
				}
			})
		}
	})
}

// fight has two lanes at each broker, and two that know all of them, open hits, call and close them.
func fight(t *testing.T, ctx context.Context, all []*harbour, rounds int) {
	t.Helper()
	clients := []*assigner.Client{goCaller(t, usual, refs(urls(all)...)...).client}
	for _, h := range all {
		clients = append(clients, h.Client())
	}
	wrong := make(chan error, 2*len(clients))
	var group sync.WaitGroup
	for _, c := range clients {
		for range 2 {
			group.Go(func() { wrong <- visit(ctx, c, rounds) })
		}
	}
	group.Wait()
	for range cap(wrong) {
		require.NoError(t, <-wrong)
	}
}

// visit opens hits one after another; each has one thread for all of its calls.
func visit(ctx context.Context, c *assigner.Client, rounds int) error {
	for range rounds {
		h, err := c.Open(ctx, "berth")
		if err != nil {
			return err
		}
		for i := range 2 {
			thread, err := answered(ctx, h, fmt.Sprint(i))
			if err != nil {
				return err
			}
			if thread != h.Thread() {
				return fmt.Errorf("hit %x was opened on thread %d and called on %d", h.Handle(), h.Thread(), thread)
			}
		}
		if err := h.Close(ctx); err != nil {
			return err
		}
	}
	return nil
}

// TestASlotGoesWhereItIsWanted: while one broker's hits have all slots, another one's wait; they get the first slot that is given back.
func TestASlotGoesWhereItIsWanted(t *testing.T) {
	workers(t, func(t *testing.T, spawn func(*testing.T, crewConfig) shared) {
		all, ctx := quay(t), rig.Context(t)
		w := spawn(t, crewConfig{Brokers: workersAt(all), Name: "shared", Slots: 2})
		here, there := all[0].Client(), all[1].Client()
		var held []*assigner.Hit
		for range 2 {
			h, err := here.Open(ctx, "berth")
			require.NoError(t, err)
			held = append(held, h)
		}
		opened := make(chan *assigner.Hit, 1)
		go func() {
			h, _ := there.Open(ctx, "berth")
			opened <- h
		}()
		rig.Until(t, "the open waits at the other broker", func() bool { return all[1].status(t, ctx).Totals.Queued > 0 })
		require.Equal(t, 2, w.told(t).Open)
		require.NoError(t, held[0].Close(ctx))
		h := rig.Receive(t, opened, "the hit that waited")
		require.NotNil(t, h)
		_, err := answered(ctx, h, "x")
		require.NoError(t, err)
		require.Equal(t, 2, w.told(t).Most)
		require.NoError(t, h.Close(ctx))
	})
}

// TestABrokerOfAWorkerIsKilled: its hits end, those of the other brokers go on, and its slots are theirs.
func TestABrokerOfAWorkerIsKilled(t *testing.T) {
	workers(t, func(t *testing.T, spawn func(*testing.T, crewConfig) shared) {
		all, ctx := quay(t), rig.Context(t)
		w := spawn(t, crewConfig{Brokers: workersAt(all), Name: "shared", Slots: 2})
		lost, kept := open(t, ctx, all[0].Client()), open(t, ctx, all[1].Client())
		all[0].broker.Kill()
		third := open(t, ctx, all[2].Client()) // on the slot that the lost hit had
		for _, h := range []*assigner.Hit{kept, third} {
			_, err := answered(ctx, h, "x")
			require.NoError(t, err)
		}
		_, err := lost.Call(ctx, nil)
		require.ErrorIs(t, err, assigner.ErrBrokerGone)
		a := w.told(t)
		require.Equal(t, 2, a.Most)
		require.Equal(t, 2, a.Open)
		require.NoError(t, kept.Close(ctx))
		require.NoError(t, third.Close(ctx))
		all[0].start(t)
		back := open(t, ctx, all[0].Client())
		_, err = answered(ctx, back, "back")
		require.NoError(t, err)
	})
}

func open(t *testing.T, ctx context.Context, c *assigner.Client) *assigner.Hit {
	t.Helper()
	h, err := c.Open(ctx, "berth")
	require.NoError(t, err)
	return h
}
