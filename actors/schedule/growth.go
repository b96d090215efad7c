package schedule

import "github.com/troupe-mq/troupe/actors/prio"

// growth has the workers that can make a slot: the most room first, then whose turn is longest past. Workers that can never grow cost nothing here.
type growth[W any] struct{ prio.Queue[*Entry[W]] }

func newGrowth[W any]() growth[W] {
	return growth[W]{prio.New(mostRoom[W], func(e *Entry[W]) *int { return &e.grow })}
}

func mostRoom[W any](a, b *Entry[W]) bool {
	if x, y := a.load.Room(), b.load.Room(); x != y {
		return x > y
	}
	return a.last < b.last
}

// fix puts the worker where it belongs.
func (g *growth[W]) fix(e *Entry[W]) {
	if e.load.Room() > 0 {
		g.Fix(e)
	} else {
		g.Remove(e)
	}
}

// first returns who should grow, nil if nobody can.
func (g *growth[W]) first() *Entry[W] {
	if g.Len() == 0 {
		return nil
	}
	return g.First()
}
