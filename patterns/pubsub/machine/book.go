package machine

// Topic is one topic as its publisher keeps it.
type Topic struct {
	Name  string
	Frame []byte // the name and its terminator, as on the wire
	Seq   uint64 // of the last update, 0: none yet
	ring  []Kept
}

// Kept is an update that is kept for those who come later.
type Kept struct {
	Seq  uint64
	Body [][]byte
}

// Book is all topics of a publisher. Keep is how many updates of each are kept: 0 for none, 1 for a last value.
type Book struct {
	Max, Keep int
	topics    map[string]*Topic
}

// Next returns the topic with the number of its next update; nil where there are too many topics.
func (b *Book) Next(name string) *Topic {
	t := b.topics[name]
	if t == nil {
		if len(b.topics) >= b.Max {
			return nil
		}
		if b.topics == nil {
			b.topics = make(map[string]*Topic)
		}
		t = &Topic{Name: name, Frame: append([]byte(name), 0)}
		b.topics[name] = t
	}
	t.Seq++
	return t
}

// Record keeps a copy of the update that Next has numbered last, as long as Keep says.
func (b *Book) Record(t *Topic, body [][]byte) {
	if b.Keep == 0 {
		return
	}
	size := 0
	for _, f := range body {
		size += len(f)
	}
	flat, copied := make([]byte, 0, size), make([][]byte, len(body))
	for i, f := range body {
		from := len(flat)
		flat = append(flat, f...)
		copied[i] = flat[from:]
	}
	kept := Kept{t.Seq, copied}
	if len(t.ring) < b.Keep {
		t.ring = append(t.ring, kept)
		return
	}
	t.ring[(t.Seq-1)%uint64(b.Keep)] = kept
}

// Find returns a topic, nil if nothing was published to it yet.
func (b *Book) Find(name string) *Topic { return b.topics[name] }

// Len returns how many topics there are.
func (b *Book) Len() int { return len(b.topics) }

// Matching calls f for each topic whose frame begins with a filter, in no order.
func (b *Book) Matching(filter string, f func(*Topic)) {
	if n := len(filter); n > 0 && filter[n-1] == 0 {
		if t := b.topics[filter[:n-1]]; t != nil {
			f(t)
		}
		return
	}
	for name, t := range b.topics {
		if len(name) >= len(filter) && name[:len(filter)] == filter {
			f(t)
		}
	}
}

// Value returns the last update, if it is kept.
func (t *Topic) Value() (Kept, bool) {
	if len(t.ring) == 0 {
		return Kept{}, false
	}
	return t.ring[(t.Seq-1)%uint64(len(t.ring))], true
}

// Range calls f for the kept updates from one number to another, both included, in order.
func (t *Topic) Range(from, to uint64, f func(Kept)) {
	n := uint64(len(t.ring))
	if n == 0 || from == 0 {
		return
	}
	oldest := t.Seq - n + 1
	for seq := max(from, oldest); seq <= min(to, t.Seq); seq++ {
		f(t.ring[(seq-1)%n])
	}
}
