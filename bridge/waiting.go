package bridge

import "github.com/troupe-mq/troupe/bridge/wire"

// waiting is what a peer's window has no room for: one queue per hit, served in turn, so that a hit with much to say
// does not keep the others waiting. Hits whose next message is a PART have their turns when no other message waits, but for one turn in
// smallRun, so that they come on in any case. All messages in it own their bytes.
type waiting struct {
	queues map[uint64]*lane
	turns  []uint64 // hits with waiting messages, next one first
	parts  []uint64 // those among them whose next message is a PART
	bytes  int      // of all but PARTs
	count  int
	run    int // small messages since the last PART
}

// lane is what waits of one hit, in order.
type lane struct {
	msgs  []*wire.Message
	parts int // bytes of its PARTs, which their receiver's credit bounds
}

// smallRun is how many messages at most go before a PART that waits.
const smallRun = 64

func (w *waiting) empty() bool { return w.count == 0 }

// blocks reports whether a message has to wait behind others: in order within its hit, and small ones before PARTs.
func (w *waiting) blocks(h *wire.Header) bool {
	if w.count == 0 {
		return false
	}
	return len(w.turns) > 0 || h.Type == wire.Part || w.queues[h.Hit] != nil
}

// push adds a message to the queue of its hit.
func (w *waiting) push(m *wire.Message) {
	if w.queues == nil {
		w.queues = make(map[uint64]*lane)
	}
	hit := m.Header.Hit
	q := w.queues[hit]
	if q == nil {
		q = new(lane)
		w.queues[hit] = q
		w.line(hit, m)
	}
	q.msgs = append(q.msgs, m)
	w.count++
	if m.Header.Type == wire.Part {
		q.parts += m.Size
	} else {
		w.bytes += m.Size
	}
}

// line puts a hit at the end of the line of its next message's kind.
func (w *waiting) line(hit uint64, next *wire.Message) {
	if next.Header.Type == wire.Part {
		w.parts = append(w.parts, hit)
	} else {
		w.turns = append(w.turns, hit)
	}
}

// turn returns the line whose turn it is.
func (w *waiting) turn() *[]uint64 {
	if len(w.turns) == 0 || (len(w.parts) > 0 && w.run >= smallRun) {
		return &w.parts
	}
	return &w.turns
}

// next returns the message whose turn it is without taking it, nil if none waits.
func (w *waiting) next() *wire.Message {
	if w.count == 0 {
		return nil
	}
	return w.queues[(*w.turn())[0]].msgs[0]
}

// pop takes the message that next returned; its hit goes to the end of the line.
func (w *waiting) pop() *wire.Message {
	turn := w.turn()
	hit := (*turn)[0]
	*turn = (*turn)[1:]
	q := w.queues[hit]
	m := q.msgs[0]
	q.msgs[0] = nil
	q.msgs = q.msgs[1:]
	if len(q.msgs) > 0 {
		w.line(hit, q.msgs[0])
	} else {
		delete(w.queues, hit)
	}
	if m.Header.Type == wire.Part {
		q.parts -= m.Size
		w.run = 0
	} else {
		w.bytes -= m.Size
		w.run++
	}
	w.count--
	if w.count == 0 {
		*w = waiting{}
	}
	return m
}

// drop forgets all that waits, and frees what is not the garbage collector's.
func (w *waiting) drop() {
	for _, q := range w.queues {
		for _, m := range q.msgs {
			m.Release()
		}
	}
	*w = waiting{}
}
