package brokers_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// TestAWorkerOfSeveralBrokersDrains: all of them send it no more hits; the open ones, whose soever they are, go on until they are closed.
func TestAWorkerOfSeveralBrokersDrains(t *testing.T) {
	workers(t, func(t *testing.T, spawn func(*testing.T, crewConfig) shared) {
		all, ctx := quay(t), rig.Context(t)
		w := spawn(t, crewConfig{Brokers: workersAt(all), Name: "leaving", Slots: 50})
		var clients []*assigner.Client
		var held []*assigner.Hit
		for _, h := range all {
			c := h.Client()
			clients = append(clients, c)
			held = append(held, open(t, ctx, c))
		}
		w.Say("drain")
		rig.Until(t, "all brokers know", func() bool {
			for _, h := range all {
				if h.workers(t, ctx)[0].State == "serving" {
					return false
				}
			}
			return true
		})
		goWorker(t, crewConfig{Brokers: workersAt(all), Name: "heir", Slots: 50})
		for i, c := range clients {
			require.Equal(t, "heir", open(t, ctx, c).Worker())
			_, err := answered(ctx, held[i], "goes-on")
			require.NoError(t, err)
		}
		for _, h := range held {
			require.NoError(t, h.Close(ctx))
		}
		w.Await("drained")
	})
}

// TestOneOfSeveralBrokersDrains: new hits go to the others, without a failure; its open ones go on until they are closed.
func TestOneOfSeveralBrokersDrains(t *testing.T) {
	callers(t, func(t *testing.T, dial dialer) {
		all := []*harbour{newHarbour(t, "one").open(t, 100), newHarbour(t, "two").open(t, 100), newHarbour(t, "three").open(t, 100)}
		c, before := dial(usual, refs(urls(all)...)...), dial(usual, refs(urls(all)...)...)
		c.awaits(all...)
		before.awaits(all...)
		require.Equal(t, map[string]int{"one": 2, "two": 2, "three": 2}, before.spread(6, 1))
		all[1].broker.Say("drain")
		for at := map[string]int{"two": 1}; at["two"] > 0; { // those that it had taken before it heard
			at = c.spread(6, 2)
		}
		require.Zero(t, c.spread(20, 4)["two"])
		before.verify()
		before.release()
		c.verify()
		c.release()
		all[1].broker.Await("drained")
	})
}

// TestSameBrokerTwiceInPython: by one address that is refused at once, by two of them one is left out, and said, at both sides. In Go this is tested where
// it is written.
func TestSameBrokerTwiceInPython(t *testing.T) {
	site, other := rig.NewSite(t, rig.TCP), rig.NewSite(t, rig.TCP)
	site.BrokerAlone(func(c *assigner.BrokerConfig) {
		c.Clients, c.Workers = append(c.Clients, other.Clients), append(c.Workers, other.Workers)
	})
	p := rig.Python(t, "testdata/twice.py", site.Clients, other.Clients, site.Workers, other.Workers)
	require.Contains(t, p.Await("by one address: "), "is named twice: name it once")
	require.Contains(t, p.Await("worker: "), "is registered here already, by another address of this broker: name the broker once")
	require.Contains(t, p.Await("client: "), "are the same broker 'b': name it once")
	require.Equal(t, "hello", p.Await("served: "))
}
