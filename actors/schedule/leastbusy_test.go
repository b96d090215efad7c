package schedule_test

import (
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

func add(p *schedule.LeastBusy[*worker], name string, used, slots int) *worker {
	w := &worker{name: name, load: schedule.Load{Used: used, Slots: slots}}
	w.entry = p.Add(w, &w.load)
	return w
}

// take chooses a worker and counts the slot, as a broker does; "" means that nobody has one.
func take(p *schedule.LeastBusy[*worker]) string {
	e, ok := p.Choose()
	if !ok {
		return ""
	}
	e.Worker.load.Used++
	p.Fix(e)
	return e.Worker.name
}

func TestNobodyIsChosenWhereNobodyIs(t *testing.T) {
	var p schedule.LeastBusy[*worker]
	_, ok := p.Choose()
	require.False(t, ok)
	require.Zero(t, p.Len())
}

func TestTheSmallestShareIsChosen(t *testing.T) {
	var p schedule.LeastBusy[*worker]
	add(&p, "half", 1, 2)
	add(&p, "third", 3, 9)
	add(&p, "most", 7, 8)
	require.Equal(t, "third", take(&p), "3/9 is less than 1/2 and 7/8")
	require.Equal(t, "third", take(&p), "4/9 is still less than 1/2")
	require.Equal(t, "half", take(&p), "5/9 is more than 1/2")
}

func TestAmongEqualsTheLongestPastIsChosen(t *testing.T) {
	var p schedule.LeastBusy[*worker]
	for _, name := range []string{"a", "b", "c"} {
		add(&p, name, 0, 10)
	}
	var first, second []string
	for range 3 {
		first = append(first, take(&p))
	}
	for range 3 {
		second = append(second, take(&p))
	}
	require.ElementsMatch(t, []string{"a", "b", "c"}, first)
	require.Equal(t, first, second, "in turn")
}

func TestFullAndClosedWorkersAreLeftOut(t *testing.T) {
	var p schedule.LeastBusy[*worker]
	small := add(&p, "small", 0, 1)
	big := add(&p, "big", 50, 100)
	require.Equal(t, "small", take(&p))
	require.Equal(t, "big", take(&p), "the small one is full")

	small.load.Used = 0
	p.Fix(small.entry)
	small.load.Closed = true
	p.Fix(small.entry)
	require.Equal(t, "big", take(&p), "the small one is closed")
	require.Zero(t, small.load.Free())

	big.load.Used = 100
	p.Fix(big.entry)
	require.Empty(t, take(&p), "one is full and one is closed")
}

func TestMoreUsedThanThereAreIsFull(t *testing.T) {
	var p schedule.LeastBusy[*worker]
	w := add(&p, "w", 3, 2)
	require.Zero(t, w.load.Free())
	require.Empty(t, take(&p))
}

func TestRemovingTwiceDoesNothing(t *testing.T) {
	var p schedule.LeastBusy[*worker]
	w := add(&p, "w", 0, 1)
	p.Remove(w.entry)
	p.Remove(w.entry)
	p.Fix(w.entry) // of one that is out
	require.Zero(t, p.Len())
	require.Empty(t, take(&p))
}

// A worker that offers two services has one load and a place in two queues.
func TestOneLoadInTwoQueues(t *testing.T) {
	var p, q schedule.LeastBusy[*worker]
	both := add(&p, "both", 0, 1)
	other := q.Add(both, &both.load)
	add(&q, "second", 0, 4)
	require.Equal(t, "both", take(&p))
	q.Fix(other)
	require.Equal(t, "second", take(&q), "the slot that one queue took is taken in the other")
}
