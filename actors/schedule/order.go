package schedule

import "github.com/troupe-mq/troupe/actors/prio"

// inOrder returns a queue of workers; before says who comes first.
func inOrder[W any](before func(a, b *Entry[W]) bool) prio.Queue[*Entry[W]] {
	return prio.New(before, func(e *Entry[W]) *int { return &e.index })
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
