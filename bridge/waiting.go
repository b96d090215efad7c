package bridge

import "github.com/troupe-mq/troupe/bridge/wire"

// waiting is what a peer's window has no room for: one queue per hit, served in turn, so that a hit with much to say
// does not keep the others waiting. All messages in it own their bytes.
type waiting struct {
	queues map[uint64]*[]*wire.Message
	turns  []uint64 // hits with waiting messages, next one first
	bytes  int
	count  int
}

func (w *waiting) empty() bool { return w.count == 0 }

// push adds a message to the queue of its hit.
func (w *waiting) push(m *wire.Message) {
	if w.queues == nil {
		w.queues = make(map[uint64]*[]*wire.Message)
	}
	hit := m.Header.Hit
	q := w.queues[hit]
	if q == nil {
		q = new([]*wire.Message)
		w.queues[hit] = q
		w.turns = append(w.turns, hit)
	}
	*q = append(*q, m)
	w.bytes += m.Size
	w.count++
}

// next returns the message whose turn it is without taking it, nil if none waits.
func (w *waiting) next() *wire.Message {
	if w.count == 0 {
		return nil
	}
	return (*w.queues[w.turns[0]])[0]
}

// pop takes the message that next returned; its hit goes to the end of the line.
func (w *waiting) pop() *wire.Message {
	hit := w.turns[0]
	q := w.queues[hit]
	m := (*q)[0]
	(*q)[0] = nil
	*q = (*q)[1:]
	w.turns = w.turns[1:]
	if len(*q) > 0 {
		w.turns = append(w.turns, hit)
	} else {
		delete(w.queues, hit)
	}
	w.bytes -= m.Size
	w.count--
	if w.count == 0 {
		w.drop()
	}
	return m
}

func (w *waiting) drop() { *w = waiting{} }
