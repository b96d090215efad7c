package schedule

// Affinity remembers which worker a key went to last, so that it goes there again. It holds a bounded number of keys and forgets the one that was not
// asked for longest. The zero Affinity is not usable; it is not safe for concurrent use. Every method is O(1).
type Affinity[W comparable] struct {
	most int
	keys map[string]*bond[W]
	// The list of bonds, most recently used first, is a ring through this one.
	ring bond[W]
}

type bond[W comparable] struct {
	key        string
	worker     W
	prev, next *bond[W]
}

// NewAffinity returns one that remembers at most so many keys.
func NewAffinity[W comparable](most int) *Affinity[W] {
	a := &Affinity[W]{most: most, keys: make(map[string]*bond[W])}
	a.ring.prev, a.ring.next = &a.ring, &a.ring
	return a
}

// Len returns how many keys are remembered.
func (a *Affinity[W]) Len() int { return len(a.keys) }

// Get returns the worker that the key went to.
func (a *Affinity[W]) Get(key string) (W, bool) {
	b := a.keys[key]
	if b == nil {
		var none W
		return none, false
	}
	a.front(b)
	return b.worker, true
}

// Put remembers the worker of a key, in place of an earlier one.
func (a *Affinity[W]) Put(key string, w W) {
	b := a.keys[key]
	if b == nil {
		b = &bond[W]{key: key}
		a.keys[key] = b
	}
	b.worker = w
	a.front(b)
	if len(a.keys) > a.most {
		a.drop(a.ring.prev)
	}
}

func (a *Affinity[W]) front(b *bond[W]) {
	if b.next != nil {
		b.prev.next, b.next.prev = b.next, b.prev
	}
	b.prev, b.next = &a.ring, a.ring.next
	b.prev.next, b.next.prev = b, b
}

func (a *Affinity[W]) drop(b *bond[W]) {
	b.prev.next, b.next.prev = b.next, b.prev
	delete(a.keys, b.key)
}
