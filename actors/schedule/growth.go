package schedule

import "container/heap"

// growth is a heap of the workers that can make a slot: the most room first, then whose turn is longest past.
type growth[W any] struct{ entries []*Entry[W] }

// Len is heap.Interface's.
func (g *growth[W]) Len() int { return len(g.entries) }

// Less is heap.Interface's.
func (g *growth[W]) Less(i, j int) bool {
	a, b := g.entries[i], g.entries[j]
	if x, y := a.load.Room(), b.load.Room(); x != y {
		return x > y
	}
	return a.last < b.last
}

// Swap is heap.Interface's.
func (g *growth[W]) Swap(i, j int) {
	q := g.entries
	q[i], q[j] = q[j], q[i]
	q[i].grow, q[j].grow = i, j
}

// Push is heap.Interface's.
func (g *growth[W]) Push(x any) {
	e := x.(*Entry[W])
	e.grow = len(g.entries)
	g.entries = append(g.entries, e)
}

// Pop is heap.Interface's.
func (g *growth[W]) Pop() any {
	n := len(g.entries) - 1
	e := g.entries[n]
	g.entries[n] = nil
	g.entries = g.entries[:n]
	e.grow = -1
	return e
}

// fix puts the worker where it belongs: workers that can never grow cost nothing here.
func (g *growth[W]) fix(e *Entry[W]) {
	switch can := e.load.Room() > 0; {
	case can && e.grow < 0:
		heap.Push(g, e)
	case can:
		heap.Fix(g, e.grow)
	case e.grow >= 0:
		heap.Remove(g, e.grow)
	}
}

func (g *growth[W]) remove(e *Entry[W]) {
	if e.grow >= 0 {
		heap.Remove(g, e.grow)
	}
}

// first returns who should grow, nil if nobody can.
func (g *growth[W]) first() *Entry[W] {
	if len(g.entries) == 0 {
		return nil
	}
	return g.entries[0]
}
