package why

// Store keeps the last records, and counts those that it had to forget. Verdicts that say no more than that a call was slow, or answered with an
// error, have room of their own: they come in numbers and must not push the others out. It belongs to one goroutine.
type Store struct {
	hard, soft ring
	counts     map[string]uint64
}

// NewStore returns a store with room for so many records, and a quarter as many of the soft ones (SLOW, SAID-ERROR, HEALTHY).
func NewStore(size int) *Store {
	size = max(size, 4)
	return &Store{hard: ring{size: size}, soft: ring{size: size / 4}, counts: make(map[string]uint64)}
}

// Add keeps a record. It takes the place of the oldest of its kind when there is no room.
func (s *Store) Add(r Record) {
	s.counts[r.Verdict]++
	switch r.Verdict {
	case "SLOW", "SAID-ERROR", "HEALTHY":
		s.soft.add(r)
	default:
		s.hard.add(r)
	}
}

// Find returns the records that match, the latest first, at most so many; match is asked for each.
func (s *Store) Find(most int, match func(*Record) bool) []Record {
	found := []Record{}
	for i, j := 0, 0; len(found) < most; {
		x, y := s.hard.back(i), s.soft.back(j)
		if x == nil && y == nil {
			break
		}
		if x == nil || y != nil && y.AtMS > x.AtMS {
			x = y
			j++
		} else {
			i++
		}
		if match(x) {
			found = append(found, *x)
		}
	}
	return found
}

// About returns the records of a worker's name, or a hit's handle, the latest first.
func (s *Store) About(name string, most int) []Record {
	return s.Find(most, func(r *Record) bool { return r.Worker == name || r.Hit == name || r.Client == name })
}

// Len returns how many records there are.
func (s *Store) Len() int { return len(s.hard.all) + len(s.soft.all) }

// Dropped returns how many records have been forgotten.
func (s *Store) Dropped() uint64 { return s.hard.dropped + s.soft.dropped }

// Counts returns how often each verdict was given. The map is the store's.
func (s *Store) Counts() map[string]uint64 { return s.counts }

// ring keeps the last so many records.
type ring struct {
	size    int
	all     []Record
	next    int // where the next one goes, once it is full
	dropped uint64
}

func (r *ring) add(x Record) {
	if len(r.all) < r.size {
		r.all = append(r.all, x)
		return
	}
	r.all[r.next] = x
	r.next = (r.next + 1) % r.size
	r.dropped++
}

// back returns the latest record but i, nil where there is none.
func (r *ring) back(i int) *Record {
	n := len(r.all)
	if i >= n {
		return nil
	}
	return &r.all[(r.next+2*n-1-i)%n]
}
