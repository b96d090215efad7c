package restart_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-mq/troupe/supervision/restart"
)

func TestDecideGrid(t *testing.T) {
	grid := []struct {
		kind  restart.Type
		class restart.Class
		again bool
	}{
		{restart.Permanent, restart.Normal, true},
		{restart.Permanent, restart.Abnormal, true},
		{restart.Transient, restart.Normal, false},
		{restart.Transient, restart.Abnormal, true},
		{restart.Temporary, restart.Normal, false},
		{restart.Temporary, restart.Abnormal, false},
	}
	for _, g := range grid {
		t.Run(fmt.Sprintf("%v ended %v", g.kind, g.class), func(t *testing.T) {
			require.Equal(t, g.again, restart.Decide(g.kind, g.class))
		})
	}
}

func TestUnknownTypeIsNeverRestarted(t *testing.T) {
	odd := restart.Type(7)
	require.False(t, odd.Valid())
	require.False(t, restart.Decide(odd, restart.Abnormal))
	require.Equal(t, "restart.Type(7)", odd.String())
}

func TestLedgerForgetsAfterTheWindow(t *testing.T) {
	start := time.Unix(1000, 0)
	l := restart.NewLedger(restart.Intensity{Restarts: 2, Window: time.Second})
	require.True(t, l.Record(start))
	require.True(t, l.Record(start.Add(500*time.Millisecond)))
	require.False(t, l.Record(start.Add(999*time.Millisecond)))
	require.Equal(t, 1, l.Count(start.Add(1500*time.Millisecond)))
	require.True(t, l.Record(start.Add(1500*time.Millisecond)))
}

func TestLedgerDefault(t *testing.T) {
	l := restart.NewLedger(restart.Intensity{})
	now := time.Unix(0, 0)
	for range restart.DefaultRestarts {
		require.True(t, l.Record(now))
	}
	require.False(t, l.Record(now))
}

// TestLedgerModel compares the pruned ledger with the definition: the restarts
// of the last Window, this one included, are at most Restarts.
func TestLedgerModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := restart.Intensity{
			Restarts: rapid.IntRange(0, 6).Draw(t, "restarts"),
			Window:   time.Duration(rapid.IntRange(1, 20).Draw(t, "window")),
		}
		l := restart.NewLedger(limit)
		now := time.Unix(0, 0)
		var all []time.Time
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			now = now.Add(time.Duration(rapid.IntRange(0, 8).Draw(t, "gap")))
			all = append(all, now)
			count := 0
			for _, at := range all {
				if now.Sub(at) < limit.Window {
					count++
				}
			}
			allowed := l.Record(now)
			require.Equal(t, count <= limit.Restarts, allowed, "%d restarts in the window, limit %+v", count, limit)
			require.LessOrEqual(t, l.Count(now), limit.Restarts, "the ledger is bounded")
		}
	})
}

func TestBackoffDoublesUpToMax(t *testing.T) {
	b := restart.Backoff{Min: 50 * time.Millisecond, Max: 300 * time.Millisecond}
	var got []time.Duration
	for attempt := range 5 {
		got = append(got, b.Ceiling(attempt))
	}
	ms := time.Millisecond
	require.Equal(t, []time.Duration{50 * ms, 100 * ms, 200 * ms, 300 * ms, 300 * ms}, got)
	require.Equal(t, 75*ms, b.Delay(3, 0.25))
}

func TestBackoffModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := restart.Backoff{
			Min: time.Duration(rapid.Int64Range(0, 1<<62).Draw(t, "min")),
			Max: time.Duration(rapid.Int64Range(0, 1<<62).Draw(t, "max")),
		}
		if b.Validate() != nil {
			t.Skip("Min above Max is refused by Validate")
		}
		attempt := rapid.IntRange(0, 200).Draw(t, "attempt")
		random := rapid.Float64Range(0, 0.999999).Draw(t, "random")
		full := b.OrDefault()
		d := b.Delay(attempt, random)
		require.GreaterOrEqual(t, d, time.Duration(0))
		require.LessOrEqual(t, d, full.Max)
		require.GreaterOrEqual(t, b.Ceiling(attempt), full.Min)
		require.GreaterOrEqual(t, b.Ceiling(attempt+1), b.Ceiling(attempt), "it never shrinks")
	})
}

func TestValidateNamesTheField(t *testing.T) {
	require.NoError(t, restart.Backoff{}.Validate())
	require.ErrorContains(t, restart.Backoff{Min: -1}.Validate(), "Min")
	require.ErrorContains(t, restart.Backoff{Max: -1}.Validate(), "Max")
	require.ErrorContains(t, restart.Backoff{Min: 2, Max: 1}.Validate(), "larger than Max")
	require.NoError(t, restart.Intensity{}.Validate())
	require.NoError(t, restart.Intensity{Window: time.Second}.Validate())
	require.ErrorContains(t, restart.Intensity{Restarts: -1, Window: 1}.Validate(), "Restarts")
	require.ErrorContains(t, restart.Intensity{Restarts: 1}.Validate(), "Window")
}
