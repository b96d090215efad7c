package schedule_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/actors/schedule"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// worker is a policy's view of a worker, with the place in the queue it was given.
type worker struct {
	name  string
	load  schedule.Load
	entry *schedule.Entry[*worker]
}

// policy returns an empty policy, with the same random numbers in each run.
func policy(name schedule.Name) schedule.Policy[*worker] {
	return schedule.New[*worker](name, rand.New(rand.NewPCG(1, 2)).IntN)
}

func add(p schedule.Policy[*worker], name string, used, slots int) *worker {
	w := &worker{name: name, load: schedule.Load{Used: used, Slots: slots}}
	w.entry = p.Add(w, &w.load)
	return w
}

// take chooses a worker and counts the slot, as a broker does; "" means that nobody has one.
func take(p schedule.Policy[*worker]) string {
	e, ok := p.Choose()
	if !ok {
		return ""
	}
	e.Worker.load.Used++
	p.Fix(e)
	return e.Worker.name
}

func TestNobodyIsChosenWhereNobodyIs(t *testing.T) {
	p := policy(schedule.LeastBusy)
	_, ok := p.Choose()
	require.False(t, ok)
	require.Zero(t, p.Len())
}

func TestTheSmallestShareIsChosen(t *testing.T) {
	p := policy(schedule.LeastBusy)
	add(p, "half", 1, 2)
	add(p, "third", 3, 9)
	add(p, "most", 7, 8)
	require.Equal(t, "third", take(p), "3/9 is less than 1/2 and 7/8")
	require.Equal(t, "third", take(p), "4/9 is still less than 1/2")
	require.Equal(t, "half", take(p), "5/9 is more than 1/2")
}

func TestAmongEqualsTheLongestPastIsChosen(t *testing.T) {
	p := policy(schedule.LeastBusy)
	for _, name := range []string{"a", "b", "c"} {
		add(p, name, 0, 10)
	}
	var first, second []string
	for range 3 {
		first = append(first, take(p))
	}
	for range 3 {
		second = append(second, take(p))
	}
	require.ElementsMatch(t, []string{"a", "b", "c"}, first)
	require.Equal(t, first, second, "in turn")
}

func TestFullAndClosedWorkersAreLeftOut(t *testing.T) {
	p := policy(schedule.LeastBusy)
	small := add(p, "small", 0, 1)
	big := add(p, "big", 50, 100)
	require.Equal(t, "small", take(p))
	require.Equal(t, "big", take(p), "the small one is full")

	small.load.Used = 0
	p.Fix(small.entry)
	small.load.Closed = true
	p.Fix(small.entry)
	require.Equal(t, "big", take(p), "the small one is closed")
	require.Zero(t, small.load.Free())

	big.load.Used = 100
	p.Fix(big.entry)
	require.Empty(t, take(p), "one is full and one is closed")
}

func TestMoreUsedThanThereAreIsFull(t *testing.T) {
	p := policy(schedule.LeastBusy)
	w := add(p, "w", 3, 2)
	require.Zero(t, w.load.Free())
	require.Empty(t, take(p))
}

func TestRemovingTwiceDoesNothing(t *testing.T) {
	p := policy(schedule.LeastBusy)
	w := add(p, "w", 0, 1)
	p.Remove(w.entry)
	p.Remove(w.entry)
	p.Fix(w.entry) // of one that is out
	require.Zero(t, p.Len())
	require.Empty(t, take(p))
}

// A worker that offers two services has one load and a place in two queues.
func TestOneLoadInTwoQueues(t *testing.T) {
	p, q := policy(schedule.LeastBusy), policy(schedule.LeastBusy)
	both := add(p, "both", 0, 1)
	other := q.Add(both, &both.load)
	add(q, "second", 0, 4)
	require.Equal(t, "both", take(p))
	q.Fix(other)
	require.Equal(t, "second", take(q), "the slot that one queue took is taken in the other")
}

func TestTheLongestPastIsChosenByLRU(t *testing.T) {
	p := policy(schedule.LRU)
	add(p, "a", 0, 10)
	b := add(p, "b", 9, 10)
	add(p, "c", 0, 10)
	require.Equal(t, []string{"a", "b", "c", "a", "c", "a"}, takes(p, 6), "b is full after its first turn, however busy it was before")
	b.load.Used = 5
	p.Fix(b.entry)
	require.Equal(t, []string{"b", "c", "a", "b"}, takes(p, 4), "nobody has waited longer than b")
}

func TestEverybodyHasHisTurnByRoundRobin(t *testing.T) {
	p := policy(schedule.RoundRobin)
	add(p, "a", 0, 100)
	b := add(p, "b", 98, 100)
	add(p, "c", 0, 100)
	require.Equal(t, []string{"a", "b", "c", "a", "b", "c", "a", "c", "a", "c"}, takes(p, 10), "b is full after two turns")
	b.load.Used = 0
	p.Fix(b.entry)
	require.Equal(t, []string{"b", "a", "b", "c", "a", "b", "c"}, takes(p, 7)[:7], "one missed turn is made up for, not all")
	add(p, "d", 0, 100)
	got := takes(p, 8)
	require.ElementsMatch(t, []string{"a", "b", "c", "d"}, got[:4], "a newcomer is one of four at once")
	require.ElementsMatch(t, []string{"a", "b", "c", "d"}, got[4:])
}

func TestTurnsAreInProportionToWeights(t *testing.T) {
	p := policy(schedule.Weighted)
	for name, weight := range map[string]int{"one": 1, "two": 2, "five": 5} {
		w := add(p, name, 0, 10_000)
		w.load.Weight = weight
		p.Fix(w.entry)
	}
	got := map[string]int{}
	for _, name := range takes(p, 800) {
		got[name]++
	}
	require.InDelta(t, 100, got["one"], 1)
	require.InDelta(t, 200, got["two"], 1)
	require.InDelta(t, 500, got["five"], 1)
}

func TestWithoutWeightsSlotsAreTheWeights(t *testing.T) {
	p := policy(schedule.Weighted)
	add(p, "small", 0, 100)
	add(p, "big", 0, 300)
	got := map[string]int{}
	for _, name := range takes(p, 80) {
		got[name]++
	}
	require.InDelta(t, 60, got["big"], 1)
}

func takes(p schedule.Policy[*worker], n int) []string {
	var names []string
	for range n {
		names = append(names, take(p))
	}
	return names
}
