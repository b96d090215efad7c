package schedule

import "github.com/troupe-mq/troupe/actors/prio"

// turn is the virtual time that one turn takes at weight 1.
const turn = 1 << 20

// ranked chooses who comes first in an order. With a stride it is stride scheduling (Waldspurger and Weihl, 1995): each choice moves the worker's
// virtual time on by its stride, and the earliest is next.
type ranked[W any] struct {
	order  prio.Queue[*Entry[W]]
	stride func(*Entry[W]) uint64
	growth growth[W]
	clock  uint64 // the virtual time of the last choice
	turns  uint64
	came   uint64
}

func oneTurn[W any](*Entry[W]) uint64    { return turn }
func byWeight[W any](e *Entry[W]) uint64 { return max(turn/uint64(e.load.share()), 1) }

// Add is Policy's. A newcomer begins at the present virtual time: it does not catch up on turns that it was not there for.
func (p *ranked[W]) Add(w W, l *Load) *Entry[W] {
	p.came++
	e := &Entry[W]{Worker: w, load: l, order: p.came, pass: p.clock, index: -1, grow: -1, in: true}
	p.order.Fix(e)
	p.growth.fix(e)
	return e
}

// Remove is Policy's.
func (p *ranked[W]) Remove(e *Entry[W]) {
	if !e.in {
		return
	}
	e.in = false
	p.order.Remove(e)
	p.growth.Remove(e)
}

// Fix is Policy's.
func (p *ranked[W]) Fix(e *Entry[W]) {
	if e.in {
		p.order.Fix(e)
		p.growth.fix(e)
	}
}

// Len is Policy's.
func (p *ranked[W]) Len() int { return p.order.Len() }

// Choose is Policy's.
func (p *ranked[W]) Choose() (*Entry[W], bool) {
	if p.order.Len() == 0 || p.order.First().load.Free() == 0 {
		return nil, false
	}
	e := p.order.First()
	p.took(e)
	return e, true
}

// Grow is Policy's.
func (p *ranked[W]) Grow() (*Entry[W], bool) {
	e := p.growth.first()
	if e == nil {
		return nil, false
	}
	p.took(e)
	return e, true
}

// took counts the worker's turn. Who was busy when it was his turn has one at once, not all that he missed.
func (p *ranked[W]) took(e *Entry[W]) {
	p.turns++
	e.last = p.turns
	if p.stride != nil {
		p.clock = max(p.clock, e.pass)
		e.pass = p.clock + p.stride(e)
	}
}
