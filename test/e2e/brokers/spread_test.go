package brokers_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// TestNoHitIsLost: of five brokers one lives, one is full, one stands still, one was killed, and one has not been started. All hits are opened where there
// is room, none waits anywhere, and brokers that come (back) get their share.
func TestNoHitIsLost(t *testing.T) {
	callers(t, func(t *testing.T, dial dialer) {
		ctx := rig.Context(t)
		living, full := newHarbour(t, "living").open(t, 200), newHarbour(t, "full").open(t, 1)
		frozen, killed, late := newHarbour(t, "frozen").open(t, 200), newHarbour(t, "killed").open(t, 200), newHarbour(t, "late")
		c := dial(usual, refs(urls([]*harbour{frozen, killed, late, full, living})...)...)
		c.awaits(frozen, killed, full, living)
		held, err := full.Client().Open(ctx, "berth")
		require.NoError(t, err)

		frozen.broker.Freeze()
		killed.broker.Kill()
		require.Equal(t, map[string]int{"living": 40}, c.spread(40, 8))
		require.Equal(t, map[string]int{"living": 20}, c.do(20))
		require.Zero(t, living.status(t, ctx).Totals.Queued, "there was room at once")
		require.Zero(t, full.status(t, ctx).Totals.Queued, "nothing was queued towards the broker that is full")

		late.open(t, 200)
		c.awaits(late)
		at := c.spread(40, 8)
		require.Len(t, at, 2, "%v", at)
		require.InDelta(t, 20, at["late"], 15, "%v", at)

		frozen.broker.Thaw()
		killed.start(t)
		c.awaits(frozen, killed)
		for all := map[string]int{}; all["frozen"] == 0 || all["killed"] == 0; {
			for name, n := range c.spread(8, 1) {
				all[name] += n
			}
			require.Zero(t, all["full"])
		}
		c.verify()
		c.release()
		_, err = answered(ctx, held, "untouched")
		require.NoError(t, err)
	})
}

// TestWeightsAreFollowed: hits go round as smooth weighted round robin has it, whoever opens them.
func TestWeightsAreFollowed(t *testing.T) {
	one, two, five := newHarbour(t, "one").open(t, 400), newHarbour(t, "two").open(t, 400), newHarbour(t, "five").open(t, 400)
	callers(t, func(t *testing.T, dial dialer) {
		c := dial(endless, assigner.BrokerRef{URL: one.Clients, Weight: 1}, assigner.BrokerRef{URL: two.Clients, Weight: 2}, assigner.BrokerRef{URL: five.Clients, Weight: 5})
		c.awaits(one, two, five)
		for _, lanes := range []int{1, 8} {
			at := c.spread(80, lanes)
			require.InDelta(t, 10, at["one"], 1, "%d lanes: %v", lanes, at)
			require.InDelta(t, 20, at["two"], 1, "%d lanes: %v", lanes, at)
			require.InDelta(t, 50, at["five"], 1, "%d lanes: %v", lanes, at)
		}
		c.release()
	})
}
