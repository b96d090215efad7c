package schedule

// Load is what a policy knows of a worker: Used of Slots are taken. It is embedded in the worker's record.
type Load struct {
	Used, Slots int
	Max         int  // how many slots there can be; less than Slots: as many as there are
	Weight      int  // the worker's share under Weighted; 0: its slots
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

// share returns the worker's weight, at least 1.
func (l *Load) share() int {
	if l.Weight > 0 {
		return l.Weight
	}
	return max(l.Slots, 1)
}
