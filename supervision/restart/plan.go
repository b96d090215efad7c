package restart

// Child is what the decision has to know of a child that its supervisor has.
type Child struct {
	Type        Type
	Significant bool
}

// Plan says what follows from the end of a child. Numbers are indices into the
// children it was made for, and no slice shares memory with them.
type Plan struct {
	// Again: the child is started again. That counts once against the
	// Intensity, whatever else it concerns.
	Again bool
	// Stop lists the siblings to stop first, one after the other, the youngest
	// first. Those among them that are not in Start are forgotten.
	Stop []int
	// Start lists whom to start after that, one after the other, the oldest
	// first; the child that ended is among them.
	Start []int
	// End: nobody is started again, and the supervisor stops its children in
	// order and ends with a normal reason, because of its AutoShutdown.
	End bool
}

// Make decides what follows when the child i of children, which are in start
// order, has ended by itself with a reason of class c. Who was stopped by its
// supervisor, by hand or because of a sibling, draws no decision.
func Make(s Strategy, a AutoShutdown, children []Child, i int, c Class) Plan {
	if !Decide(children[i].Type, c) {
		return Plan{End: children[i].Significant && a.ends(children, i)}
	}
	p := Plan{Again: true}
	first, last := s.concerns(i, len(children))
	for k := first; k < last; k++ {
		if k == i || children[k].Type != Temporary {
			p.Start = append(p.Start, k)
		}
	}
	for k := last - 1; k >= first; k-- {
		if k != i {
			p.Stop = append(p.Stop, k)
		}
	}
	return p
}

// concerns returns the range of children that the restart of child i of n
// concerns, the last one excluded.
func (s Strategy) concerns(i, n int) (first, last int) {
	switch s {
	case AllForOne:
		return 0, n
	case RestForOne:
		return i, n
	default:
		return i, i + 1
	}
}

// ends reports whether the end of the significant child i ends the supervisor.
func (a AutoShutdown) ends(children []Child, i int) bool {
	if a != AllSignificant {
		return a == AnySignificant
	}
	for k, c := range children {
		if k != i && c.Significant {
			return false
		}
	}
	return true
}
