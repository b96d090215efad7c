package machine

import "time"

// Slots counts the slots of a worker, whichever broker's hits have them: Min at first, up to Max when hits come that find none free, and down
// again when some have been idle for long. The zero times of Idle retire nothing. It is not safe for concurrent use.
type Slots struct {
	Min, Max int
	Idle     time.Duration // how long a slot above Min may be idle
	Grown    uint64        // slots made because none was free
	Retired  uint64        // slots given up again
	Refused  uint64        // hits for which there was none

	size, used int
	idle       []time.Duration // since when each free slot is idle, the longest first; only where Max is more than Min
}

// NewSlots returns the slots of a worker that has just started.
func NewSlots(least, most int, idle time.Duration) *Slots {
	s := &Slots{Min: least, Max: most, Idle: idle, size: least}
	if s.grows() {
		s.idle = make([]time.Duration, least, most)
	}
	return s
}

func (s *Slots) grows() bool { return s.Max > s.Min }

// Size returns how many slots there are, and Used how many of them hits have.
func (s *Slots) Size() int { return s.size }

// Used returns how many slots hits have.
func (s *Slots) Used() int { return s.used }

// Take gives a hit a slot: the one that was used last, or a new one. It reports whether there is one, and whether it is new.
func (s *Slots) Take() (ok, grown bool) {
	switch {
	case s.used < s.size:
		if s.grows() {
			s.idle = s.idle[:len(s.idle)-1]
		}
	case s.size < s.Max:
		s.size++
		s.Grown++
		grown = true
	default:
		s.Refused++
		return false, false
	}
	s.used++
	return true, grown
}

// Give takes a hit's slot back.
func (s *Slots) Give(now time.Duration) {
	s.used--
	if s.grows() {
		s.idle = append(s.idle, now)
	}
}

// Share returns what a broker may be told whose hits have own slots: how many it may have at present, and how far that can grow.
func (s *Slots) Share(own int) (slots, most int) {
	others := s.used - own
	return s.size - others, s.Max - others
}

// Deadline says when Tick wants to be called, 0 for never.
func (s *Slots) Deadline() time.Duration {
	if s.Idle <= 0 || s.size <= s.Min || len(s.idle) == 0 {
		return 0
	}
	return s.idle[0] + s.Idle
}

// Tick retires the slots that have been idle for long enough, and returns how many.
func (s *Slots) Tick(now time.Duration) int {
	n := 0
	for at := s.Deadline(); at > 0 && at <= now; at = s.Deadline() {
		s.idle = s.idle[:copy(s.idle, s.idle[1:])]
		s.size--
		n++
	}
	s.Retired += uint64(n)
	return n
}
