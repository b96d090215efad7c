package schedule

// order is a heap of workers; before says who comes first.
type order[W any] struct {
	entries []*Entry[W]
	before  func(a, b *Entry[W]) bool
}

// Len is heap.Interface's.
func (o *order[W]) Len() int { return len(o.entries) }

// Less is heap.Interface's.
func (o *order[W]) Less(i, j int) bool { return o.before(o.entries[i], o.entries[j]) }

// Swap is heap.Interface's.
func (o *order[W]) Swap(i, j int) {
	q := o.entries
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push is heap.Interface's.
func (o *order[W]) Push(x any) {
	e := x.(*Entry[W])
	e.index = len(o.entries)
	o.entries = append(o.entries, e)
}

// Pop is heap.Interface's.
func (o *order[W]) Pop() any {
	n := len(o.entries) - 1
	e := o.entries[n]
	o.entries[n] = nil
	o.entries = o.entries[:n]
	e.index = -1
	return e
}

// free compares by who has a free slot at all; decided says that it has settled the matter. Who has none is not chosen, so any order will do.
func free[W any](a, b *Entry[W]) (first, decided bool) {
	fa, fb := a.load.Free() > 0, b.load.Free() > 0
	if fa != fb {
		return fa, true
	}
	return a.last < b.last, !fa
}

// leastBusy: the smaller share of slots taken, then the longest past.
func leastBusy[W any](a, b *Entry[W]) bool {
	if first, decided := free(a, b); decided {
		return first
	}
	// Used/Slots compared without division.
	if x, y := a.load.Used*b.load.Slots, b.load.Used*a.load.Slots; x != y {
		return x < y
	}
	return longestPast(a, b)
}

// longestPast: whose turn was earlier, then who came earlier.
func longestPast[W any](a, b *Entry[W]) bool {
	if fa, fb := a.load.Free() > 0, b.load.Free() > 0; fa != fb {
		return fa
	}
	if a.last != b.last {
		return a.last < b.last
	}
	return a.order < b.order
}

// earliestPass: whose virtual time is earlier, then who came earlier.
func earliestPass[W any](a, b *Entry[W]) bool {
	if first, decided := free(a, b); decided {
		return first
	}
	if a.pass != b.pass {
		return a.pass < b.pass
	}
	return a.order < b.order
}
