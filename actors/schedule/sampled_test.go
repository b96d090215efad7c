package schedule_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/schedule"
)

func TestAnybodyWithAFreeSlotIsChosenAtRandom(t *testing.T) {
	p := policy(schedule.Random)
	busy := add(p, "busy", 900_000, 1_000_000)
	add(p, "idle", 0, 1_000_000)
	add(p, "full", 5, 5)
	got := map[string]int{}
	for _, name := range takes(p, 2000) {
		got[name]++
	}
	require.Zero(t, got["full"])
	require.InDelta(t, 1000, got["busy"], 150, "how busy it is does not matter")
	busy.load.Closed = true
	p.Fix(busy.entry)
	require.Equal(t, []string{"idle", "idle", "idle"}, takes(p, 3))
}

// Two choices keep the busiest near the mean, where one choice does not (balls into bins: ln ln n against ln n).
func TestTheLessBusyOfTwoIsChosen(t *testing.T) {
	const workers, hits = 200, 200 * 20
	spread := func(name schedule.Name) int {
		p := policy(name)
		all := make([]*worker, workers)
		for i := range all {
			all[i] = add(p, "w", 0, 1000)
		}
		takes(p, hits)
		most := 0
		for _, w := range all {
			most = max(most, w.load.Used)
		}
		return most
	}
	require.LessOrEqual(t, spread(schedule.TwoChoices), 24, "mean 20")
	require.Greater(t, spread(schedule.Random), 27)
	require.Equal(t, 20, spread(schedule.LeastBusy))
}

func TestNamesAreKnown(t *testing.T) {
	for _, name := range schedule.Names() {
		got, err := schedule.ParseName(string(name))
		require.NoError(t, err)
		require.Equal(t, name, got)
	}
	_, err := schedule.ParseName("fastest")
	require.ErrorContains(t, err, `no policy is named "fastest": there are least-busy, lru, round-robin, random, two-choices, weighted`)
}
