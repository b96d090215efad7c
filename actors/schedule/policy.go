package schedule

import (
	"fmt"
	"slices"
	"strings"
)

// Policy chooses the worker for the next hit of one service. A worker that offers several services has one Load and an Entry in each of their
// policies; who changes a Load calls Fix for all of them. Every method is O(log n) or better, and none is safe for concurrent use.
type Policy[W any] interface {
	// Add takes a worker in.
	Add(w W, l *Load) *Entry[W]
	// Remove takes it out again; twice does nothing.
	Remove(e *Entry[W])
	// Fix tells that the worker's load has changed.
	Fix(e *Entry[W])
	// Len returns how many workers there are.
	Len() int
	// Choose returns the worker for the next hit, and false when no slot is free. The caller counts the slot and calls Fix.
	Choose() (*Entry[W], bool)
	// Grow returns the worker that should make a slot for the next hit, for when Choose finds nobody; false when none can: it is the one with the
	// most room, among equals the one whose turn is longest past. The caller counts the slot and calls Fix.
	Grow() (*Entry[W], bool)
}

// Entry is a worker's place in one policy.
type Entry[W any] struct {
	Worker W

	load  *Load
	order uint64 // of arrival
	last  uint64 // when its turn was, in choices; 0: never
	pass  uint64 // its virtual time under Weighted and RoundRobin
	index int    // in the policy's order, -1 when it is in none
	grow  int    // in the order of who can grow, -1 when it cannot
	in    bool
}

// Name names a policy.
type Name string

// The policies there are.
const (
	LeastBusy  Name = "least-busy"  // the smallest share of slots taken
	LRU        Name = "lru"         // least recently used: whose turn is longest past
	RoundRobin Name = "round-robin" // in turn, in the order of arrival
	Random     Name = "random"      // any that has a free slot, all alike
	TwoChoices Name = "two-choices" // the less busy of two random ones
	Weighted   Name = "weighted"    // in turn, in proportion to Load.Weight
)

// Names lists the policies.
func Names() []Name { return []Name{LeastBusy, LRU, RoundRobin, Random, TwoChoices, Weighted} }

// ParseName returns the policy of that name.
func ParseName(s string) (Name, error) {
	if n := Name(s); slices.Contains(Names(), n) {
		return n, nil
	}
	all := make([]string, 0, len(Names()))
	for _, n := range Names() {
		all = append(all, string(n))
	}
	return "", fmt.Errorf("no policy is named %q: there are %s", s, strings.Join(all, ", "))
}

// New returns an empty policy; an unknown name is LeastBusy. pick(n) returns a random number from 0 to n-1; only Random and TwoChoices ask for it.
func New[W any](name Name, pick func(n int) int) Policy[W] {
	switch name {
	case LRU:
		return &ranked[W]{order: inOrder(longestPast[W]), growth: newGrowth[W]()}
	case RoundRobin:
		return &ranked[W]{order: inOrder(earliestPass[W]), growth: newGrowth[W](), stride: oneTurn[W]}
	case Weighted:
		return &ranked[W]{order: inOrder(earliestPass[W]), growth: newGrowth[W](), stride: byWeight[W]}
	case Random:
		return &sampled[W]{growth: newGrowth[W](), pick: pick}
	case TwoChoices:
		return &sampled[W]{growth: newGrowth[W](), pick: pick, two: true}
	default:
		return &ranked[W]{order: inOrder(leastBusy[W]), growth: newGrowth[W]()}
	}
}
