package machine

// Each hit is in three lists: its client's, its worker's, and that of all hits in order of opening.
const (
	ofClient = iota
	ofWorker
	ofAll
)

type link struct{ prev, next *Hit }

// hits is a doubly linked list through one of the links of its members.
type hits struct {
	which       int
	first, last *Hit
	n           int
}

func (l *hits) add(h *Hit) {
	k := &h.links[l.which]
	k.prev, k.next = l.last, nil
	if l.last != nil {
		l.last.links[l.which].next = h
	} else {
		l.first = h
	}
	l.last = h
	l.n++
}

func (l *hits) remove(h *Hit) {
	k := &h.links[l.which]
	if k.prev != nil {
		k.prev.links[l.which].next = k.next
	} else {
		l.first = k.next
	}
	if k.next != nil {
		k.next.links[l.which].prev = k.prev
	} else {
		l.last = k.prev
	}
	*k = link{}
	l.n--
}

// each calls f for every member; f may remove that member.
func (l *hits) each(f func(*Hit)) {
	for h := l.first; h != nil; {
		next := h.links[l.which].next
		f(h)
		h = next
	}
}

// runners are the hits that may run a call, in no order.
type runners []*Hit

func (l *runners) add(h *Hit) {
	*l = append(*l, h)
	h.runner = uint32(len(*l))
}

func (l *runners) remove(h *Hit) {
	n := len(*l) - 1
	last := (*l)[n]
	(*l)[h.runner-1], last.runner = last, h.runner
	(*l)[n] = nil
	*l = (*l)[:n]
	h.runner = 0
}
