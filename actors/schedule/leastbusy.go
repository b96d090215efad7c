package schedule

import "container/heap"

// Load is what a policy knows of a worker: Used of Slots are taken. It is embedded in the worker's record.
type Load struct {
	Used, Slots int
	Max         int  // how many slots there can be; less than Slots: as many as there are
	Closed      bool // takes no new hits
}

// Room returns how many more slots the worker can make.
func (l *Load) Room() int {
	if l.Closed {
		return 0
	}
	return max(l.Max-l.Slots, 0)
}

// Free returns how many more hits the worker takes.
func (l *Load) Free() int {
	if l.Closed {
		return 0
	}
	return max(l.Slots-l.Used, 0)
}

// LeastBusy chooses the worker with the smallest share of its slots taken, among equals the one whose turn is longest past.
// Add, Remove, Fix and Choose are O(log n). The zero value is an empty queue; it is not safe for concurrent use.
type LeastBusy[W any] struct {
	q       ranked[W]
	choices uint64
	room    int // of all workers together
}

// Entry is a worker's place in one LeastBusy queue; a worker that offers several services has one in each.
type Entry[W any] struct {
	Worker W
	load   *Load
	index  int
	last   uint64
	room   int // as counted
}

// Add puts a worker into the queue.
func (p *LeastBusy[W]) Add(w W, l *Load) *Entry[W] {
	e := &Entry[W]{Worker: w, load: l}
	heap.Push(&p.q, e)
	p.measure(e)
	return e
}

// Remove takes a worker out of the queue. Removing twice does nothing.
func (p *LeastBusy[W]) Remove(e *Entry[W]) {
	if e.index >= 0 {
		heap.Remove(&p.q, e.index)
		p.room -= e.room
		e.room = 0
	}
}

// Fix tells the queue that the worker's load has changed.
func (p *LeastBusy[W]) Fix(e *Entry[W]) {
	if e.index >= 0 {
		heap.Fix(&p.q, e.index)
		p.measure(e)
	}
}

func (p *LeastBusy[W]) measure(e *Entry[W]) {
	room := e.load.Room()
	p.room += room - e.room
	e.room = room
}

// Len returns how many workers are in the queue.
func (p *LeastBusy[W]) Len() int { return len(p.q) }

// Choose returns the worker for the next hit, and false when no slot is free. The caller counts the slot and calls Fix.
func (p *LeastBusy[W]) Choose() (*Entry[W], bool) {
	if len(p.q) == 0 || p.q[0].load.Free() == 0 {
		return nil, false
	}
	e := p.q[0]
	p.choices++
	e.last = p.choices
	return e, true
}

// Grow returns the worker that should make a slot for the next hit, and false when none can: the one with the most room, among equals the one
// whose turn is longest past. It is for when Choose finds nobody, and looks at everybody unless nobody has room. The caller counts the slot and calls Fix.
func (p *LeastBusy[W]) Grow() (*Entry[W], bool) {
	if p.room == 0 {
		return nil, false
	}
	var best *Entry[W]
	for _, e := range p.q {
		if e.room > 0 && (best == nil || e.room > best.room || (e.room == best.room && e.last < best.last)) {
			best = e
		}
	}
	p.choices++
	best.last = p.choices
	return best, true
}

type ranked[W any] []*Entry[W]

// Len is heap.Interface's.
func (q ranked[W]) Len() int { return len(q) }

// Less is heap.Interface's: those with a free slot first, then the smaller share, then the longest waiting.
func (q ranked[W]) Less(i, j int) bool {
	a, b := q[i], q[j]
	fa, fb := a.load.Free() > 0, b.load.Free() > 0
	if fa != fb {
		return fa
	}
	if !fa {
		return a.last < b.last // nobody is chosen of these, and some have no slots at all
	}
	// Used/Slots compared without division.
	if x, y := a.load.Used*b.load.Slots, b.load.Used*a.load.Slots; x != y {
		return x < y
	}
	return a.last < b.last
}

// Swap is heap.Interface's.
func (q ranked[W]) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push is heap.Interface's.
func (q *ranked[W]) Push(x any) {
	e := x.(*Entry[W])
	e.index = len(*q)
	*q = append(*q, e)
}

// Pop is heap.Interface's.
func (q *ranked[W]) Pop() any {
	n := len(*q) - 1
	e := (*q)[n]
	(*q)[n] = nil
	*q = (*q)[:n]
	e.index = -1
	return e
}
