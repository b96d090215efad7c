package schedule_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-mq/troupe/actors/schedule"
)

// obvious is a policy in its simplest form: look at everybody.
type obvious struct {
	policy  schedule.Policy[*worker]
	before  func(o *obvious, a, b *worker) bool // who is to be chosen rather; nil: anybody may be
	workers []*worker
	last    map[*worker]uint64
	choices uint64
}

// best returns all workers that may be chosen: several where they are equal.
func (o *obvious) best() []*worker {
	var best []*worker
	for _, w := range o.workers {
		if w.load.Closed || w.load.Used >= w.load.Slots {
			continue
		}
		switch {
		case len(best) == 0 || (o.before != nil && o.before(o, w, best[0])):
			best = []*worker{w}
		case o.before == nil || !o.before(o, best[0], w):
			best = append(best, w)
		}
	}
	return best
}

func lessBusy(o *obvious, a, b *worker) bool {
	x := float64(a.load.Used) / float64(a.load.Slots)
	y := float64(b.load.Used) / float64(b.load.Slots)
	if x != y {
		return x < y
	}
	return o.last[a] < o.last[b]
}

func longerPast(o *obvious, a, b *worker) bool { return o.last[a] < o.last[b] }

func (o *obvious) pick(t *rapid.T) *worker {
	if len(o.workers) == 0 {
		t.Skip("nobody is there")
	}
	return rapid.SampledFrom(o.workers).Draw(t, "worker")
}

func (o *obvious) add(t *rapid.T) {
	slots := rapid.IntRange(1, 4).Draw(t, "slots")
	w := add(o.policy, "", rapid.IntRange(0, slots).Draw(t, "used"), slots)
	w.load.Max = slots + rapid.IntRange(0, 2).Draw(t, "room")
	o.policy.Fix(w.entry)
	o.workers = append(o.workers, w)
}

func (o *obvious) choose(t *rapid.T) {
	best := o.best()
	e, ok := o.policy.Choose()
	require.Equal(t, len(best) > 0, ok)
	if !ok {
		return
	}
	require.Contains(t, best, e.Worker)
	o.choices++
	o.last[e.Worker] = o.choices
	e.Worker.load.Used++
	o.policy.Fix(e)
}

// grow gives a slot to the worker with the most room.
func (o *obvious) grow(t *rapid.T) {
	if len(o.best()) > 0 {
		t.Skip("nobody need grow")
	}
	most := 0
	for _, w := range o.workers {
		most = max(most, w.load.Room())
	}
	e, ok := o.policy.Grow()
	require.Equal(t, most > 0, ok)
	if !ok {
		return
	}
	require.Equal(t, most, e.Worker.load.Room(), "the one with the most room")
	o.choices++
	o.last[e.Worker] = o.choices
	e.Worker.load.Slots++
	o.policy.Fix(e)
}

func (o *obvious) free(t *rapid.T) {
	w := o.pick(t)
	w.load.Used = max(w.load.Used-1, 0)
	o.policy.Fix(w.entry)
}

func (o *obvious) toggle(t *rapid.T) {
	w := o.pick(t)
	w.load.Closed = !w.load.Closed
	o.policy.Fix(w.entry)
}

func (o *obvious) remove(t *rapid.T) {
	w := o.pick(t)
	o.policy.Remove(w.entry)
	for i := range o.workers {
		if o.workers[i] == w {
			o.workers = append(o.workers[:i:i], o.workers[i+1:]...)
			return
		}
	}
}

// Whatever comes and goes: each policy chooses one of those that looking at everybody would choose.
func TestPoliciesChooseWhomAnybodyWould(t *testing.T) {
	rules := map[schedule.Name]func(o *obvious, a, b *worker) bool{schedule.LeastBusy: lessBusy, schedule.LRU: longerPast}
	for _, name := range schedule.Names() {
		t.Run(string(name), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				o := &obvious{policy: policy(name), before: rules[name], last: map[*worker]uint64{}}
				t.Repeat(map[string]func(*rapid.T){
					"add": o.add, "choose": o.choose, "grow": o.grow, "free": o.free, "close": o.toggle, "remove": o.remove,
					"": func(t *rapid.T) { require.Equal(t, len(o.workers), o.policy.Len()) },
				})
			})
		})
	}
}
