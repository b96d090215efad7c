package machine

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestWorkersHaveTheirTurns(t *testing.T) {
	tab := Table{MaxTries: 3}
	tab.Ready("a", 3)
	tab.Ready("b", 3)
	for i := range 8 {
		tab.Add(i)
	}
	var order []string
	for g, ok := tab.Next(0); ok; g, ok = tab.Next(0) {
		order = append(order, g.Worker)
		require.EqualValues(t, g.Body, g.Index)
	}
	require.Equal(t, []string{"a", "b", "a", "b", "a", "b"}, order, "no more than the credit of each")
	tab.Done(0, "b", 1)
	g, ok := tab.Next(0)
	require.True(t, ok)
	require.Equal(t, Give{"b", 6, 6}, g)
}

func TestTaskThatKillsItsWorkersIsGivenUp(t *testing.T) {
	tab := Table{MaxTries: 3}
	tab.Add("poison")
	for i := range 3 {
		id := fmt.Sprint(i)
		tab.Ready(id, 1)
		_, ok := tab.Next(0)
		require.True(t, ok)
		tab.Lost(id)
	}
	require.Zero(t, tab.Open())
	require.Equal(t, []uint64{0}, tab.Missing())
	require.Equal(t, 2, tab.Redone())
}

func TestLeaseOfAFrozenWorker(t *testing.T) {
	tab := Table{MaxTries: 3, Lease: time.Second, Confirm: time.Second}
	tab.Add("x")
	tab.Ready("frozen", 1)
	_, ok := tab.Next(0)
	require.True(t, ok)
	tab.Ready("good", 1)
	tab.Tick(time.Second - 1)
	_, ok = tab.Next(0)
	require.False(t, ok)
	tab.Tick(time.Second)
	g, ok := tab.Next(time.Second)
	require.True(t, ok)
	require.Equal(t, "good", g.Worker)
	tab.Done(time.Second, "good", 0)
	tab.Done(time.Second, "frozen", 0) // it wakes up
	tab.Tick(2 * time.Second)
	require.Equal(t, 2, tab.Redone(), "its result has never reached the sink")
	require.True(t, tab.Got(0))
	require.False(t, tab.Got(0))
	require.False(t, tab.Got(99))
}

// world is workers and a sink around a table.
type world struct {
	t       *rapid.T
	tab     Table
	now     time.Duration
	holds   map[string][]uint64
	credit  map[string]int
	flying  []uint64 // results on their way to the sink
	added   int
	results int
	born    int
}

func (w *world) ids() []string {
	all := make([]string, 0, len(w.holds))
	for id := range w.holds {
		all = append(all, id)
	}
	slices.Sort(all)
	return all
}

func (w *world) give() {
	for g, ok := w.tab.Next(w.now); ok; g, ok = w.tab.Next(w.now) {
		require.EqualValues(w.t, g.Index, g.Body)
		w.holds[g.Worker] = append(w.holds[g.Worker], g.Index)
		require.LessOrEqual(w.t, len(w.holds[g.Worker]), w.credit[g.Worker])
	}
}

func (w *world) arrive() {
	if w.tab.Got(w.flying[0]) {
		w.results++
	}
	w.flying = w.flying[1:]
}

func (w *world) finish(id string) {
	if h := w.holds[id]; len(h) > 0 {
		w.holds[id] = h[1:]
		w.tab.Done(w.now, id, h[0])
		w.flying = append(w.flying, h[0])
	}
}

func (w *world) join(credit int) {
	id := fmt.Sprint("w", w.born)
	w.born++
	w.credit[id], w.holds[id] = credit, nil
	w.tab.Ready(id, credit)
}

func (w *world) step() {
	w.now += time.Duration(rapid.IntRange(0, 20).Draw(w.t, "time"))
	all := w.ids()
	switch k := rapid.IntRange(0, 9).Draw(w.t, "step"); {
	case k < 3:
		w.tab.Add(w.added)
		w.added++
	case k == 3 || len(all) == 0:
		w.join(rapid.IntRange(1, 3).Draw(w.t, "credit"))
	case k < 7:
		w.finish(rapid.SampledFrom(all).Draw(w.t, "who"))
	case k == 7 && len(w.flying) > 0:
		w.arrive()
	case k == 8:
		id := rapid.SampledFrom(all).Draw(w.t, "dies")
		delete(w.holds, id)
		w.tab.Lost(id)
	default:
		w.tab.Tick(w.now)
	}
	w.give()
}

// Whatever workers do, die, and come back: every task is finished exactly once, as a result or as missing, and nobody has more than its credit.
func TestEveryTaskIsGotOrMissing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, holds: map[string][]uint64{}, credit: map[string]int{}}
		w.tab = Table{MaxTries: rapid.IntRange(1, 4).Draw(t, "tries"), Lease: 50, Confirm: 50}
		for range rapid.IntRange(1, 150).Draw(t, "steps") {
			w.step()
		}
		w.join(1)
		for i := 0; i < 3000 && w.tab.Open() > 0; i++ {
			w.now += 10
			w.tab.Tick(w.now)
			w.give()
			for _, id := range w.ids() {
				w.finish(id)
			}
			for len(w.flying) > 0 {
				w.arrive()
			}
		}
		require.Zero(t, w.tab.Open())
		require.Equal(t, w.added, w.results+len(w.tab.Missing()))
	})
}
