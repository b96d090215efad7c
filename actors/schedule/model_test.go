package schedule_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-mq/troupe/actors/schedule"
)

// obvious is the policy in its simplest form: look at everybody.
type obvious struct {
	workers []*worker
	last    map[*worker]uint64
	choices uint64
}

// best returns all workers that may be chosen: several before the first turn of those that are equal.
func (o *obvious) best() []*worker {
	var best []*worker
	for _, w := range o.workers {
		if w.load.Closed || w.load.Used >= w.load.Slots {
			continue
		}
		switch {
		case len(best) == 0 || o.before(w, best[0]):
			best = []*worker{w}
		case !o.before(best[0], w):
			best = append(best, w)
		}
	}
	return best
}

func (o *obvious) before(a, b *worker) bool {
	x := float64(a.load.Used) / float64(a.load.Slots)
	y := float64(b.load.Used) / float64(b.load.Slots)
	if x != y {
		return x < y
	}
	return o.last[a] < o.last[b]
}

// grow gives a slot to the worker with the most room.
func (o *obvious) grow(t *rapid.T, p *schedule.LeastBusy[*worker]) {
	if len(o.best()) > 0 {
		t.Skip("nobody need grow")
	}
	most := 0
	for _, w := range o.workers {
		if !w.load.Closed {
			most = max(most, w.load.Max-w.load.Slots)
		}
	}
	e, ok := p.Grow()
	require.Equal(t, most > 0, ok)
	if !ok {
		return
	}
	require.Equal(t, most, e.Worker.load.Room(), "the one with the most room")
	o.choices++
	o.last[e.Worker] = o.choices
	e.Worker.load.Slots++
	p.Fix(e)
}

// Whatever comes and goes: the queue chooses whom looking at everybody would choose.
func TestLeastBusyChoosesWhomAnybodyWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p schedule.LeastBusy[*worker]
		o := &obvious{last: map[*worker]uint64{}}
		pick := func(t *rapid.T) *worker {
			if len(o.workers) == 0 {
				t.Skip("nobody is there")
			}
			return rapid.SampledFrom(o.workers).Draw(t, "worker")
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				slots := rapid.IntRange(1, 4).Draw(t, "slots")
				w := add(&p, "", rapid.IntRange(0, slots).Draw(t, "used"), slots)
				w.load.Max = slots + rapid.IntRange(0, 2).Draw(t, "room")
				p.Fix(w.entry)
				o.workers = append(o.workers, w)
			},
			"choose": func(t *rapid.T) {
				e, ok := p.Choose()
				best := o.best()
				require.Equal(t, len(best) > 0, ok)
				if !ok {
					return
				}
				require.Contains(t, best, e.Worker)
				o.choices++
				o.last[e.Worker] = o.choices
				e.Worker.load.Used++
				p.Fix(e)
			},
			"grow": func(t *rapid.T) { o.grow(t, &p) },
			"free": func(t *rapid.T) {
				w := pick(t)
				w.load.Used = max(w.load.Used-1, 0)
				p.Fix(w.entry)
			},
			"close": func(t *rapid.T) {
				w := pick(t)
				w.load.Closed = !w.load.Closed
				p.Fix(w.entry)
			},
			"remove": func(t *rapid.T) {
				w := pick(t)
				p.Remove(w.entry)
				for i := range o.workers {
					if o.workers[i] == w {
						o.workers = append(o.workers[:i:i], o.workers[i+1:]...)
						return
					}
				}
			},
			"": func(t *rapid.T) { require.Equal(t, len(o.workers), p.Len()) },
		})
	})
}
