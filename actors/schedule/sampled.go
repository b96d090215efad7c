package schedule

// sampled chooses at random among those that have a free slot: one, or the less busy of two (Mitzenmacher, The Power of Two Choices in Randomized
// Load Balancing, 2001), which comes near to the least busy one without an order.
type sampled[W any] struct {
	pick   func(n int) int
	two    bool
	free   []*Entry[W]
	n      int
	growth growth[W]
	turns  uint64
	came   uint64
}

// Add is Policy's.
func (p *sampled[W]) Add(w W, l *Load) *Entry[W] {
	p.came++
	e := &Entry[W]{Worker: w, load: l, order: p.came, index: -1, grow: -1, in: true}
	p.n++
	p.Fix(e)
	return e
}

// Remove is Policy's.
func (p *sampled[W]) Remove(e *Entry[W]) {
	if !e.in {
		return
	}
	e.in = false
	p.n--
	p.drop(e)
	p.growth.Remove(e)
}

// Fix is Policy's.
func (p *sampled[W]) Fix(e *Entry[W]) {
	if !e.in {
		return
	}
	switch can := e.load.Free() > 0; {
	case can && e.index < 0:
		e.index = len(p.free)
		p.free = append(p.free, e)
	case !can:
		p.drop(e)
	}
	p.growth.fix(e)
}

// drop takes a worker out of those with a free slot; the last of them takes its place.
func (p *sampled[W]) drop(e *Entry[W]) {
	if e.index < 0 {
		return
	}
	n := len(p.free) - 1
	last := p.free[n]
	p.free[e.index], last.index = last, e.index
	p.free[n] = nil
	p.free = p.free[:n]
	e.index = -1
}

// Len is Policy's.
func (p *sampled[W]) Len() int { return p.n }

// Choose is Policy's.
func (p *sampled[W]) Choose() (*Entry[W], bool) {
	n := len(p.free)
	if n == 0 {
		return nil, false
	}
	i := p.pick(n)
	e := p.free[i]
	if p.two && n > 1 {
		j := p.pick(n - 1)
		if j >= i {
			j++ // two different ones
		}
		if other := p.free[j]; leastBusy(other, e) {
			e = other
		}
	}
	p.took(e)
	return e, true
}

// Grow is Policy's.
func (p *sampled[W]) Grow() (*Entry[W], bool) {
	e := p.growth.first()
	if e == nil {
		return nil, false
	}
	p.took(e)
	return e, true
}

func (p *sampled[W]) took(e *Entry[W]) {
	p.turns++
	e.last = p.turns
}
