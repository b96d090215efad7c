package ledger

import (
	"slices"

	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
)

// Memory is what a member remembers of what it was asked. This is why nobody is asked twice: a question that comes again is answered from here.
type Memory struct {
	// MaxBytes is how much of answers is kept; older ones that nobody has acknowledged are given up first. Required.
	MaxBytes int
	// MaxKnown is how many questions that are over are known again. Required.
	MaxKnown int
	// Forgetful makes it wrong on purpose, for the tests of the tests: it knows no question again.
	Forgetful bool

	known map[wire.QuestionID]*answer
	order []wire.QuestionID // that are open, as they came
	past  []wire.QuestionID // that are over for good, as they ended
	bytes int
}

type answer struct {
	parts  [][]byte
	over   bool // the last part, or the error, is there
	failed bool
	text   string
	closed bool // nobody wants it any more
}

// Piece is a part of an answer as it is sent.
type Piece struct {
	Part  uint32
	Flags uint32
	Body  []byte
}

// Begin notes that a question was asked and reports whether it is the first time.
func (m *Memory) Begin(q wire.QuestionID) bool {
	if m.known[q] != nil {
		return m.Forgetful
	}
	m.put(q, &answer{})
	return true
}

func (m *Memory) put(q wire.QuestionID, a *answer) {
	if m.known == nil {
		m.known = make(map[wire.QuestionID]*answer)
	}
	m.known[q] = a
	if a.closed {
		m.bygone(q)
		return
	}
	m.order = append(m.order, q)
	m.trim()
}

// Add keeps a part of the answer and returns it as it is sent, false if nobody wants it any more. The bytes are the memory's.
func (m *Memory) Add(q wire.QuestionID, body []byte) (Piece, bool) {
	a := m.known[q]
	if a == nil || a.closed || a.over {
		return Piece{}, false
	}
	a.parts = append(a.parts, body)
	m.bytes += len(body)
	p := Piece{Part: uint32(len(a.parts) - 1), Body: body}
	m.trim()
	return p, true
}

// Finish ends an answer well; last is its last part, nil if all of it was added before. The bytes are the memory's.
func (m *Memory) Finish(q wire.QuestionID, last []byte) (Piece, bool) {
	if len(last) > 0 {
		p, wanted := m.Add(q, last)
		if a := m.known[q]; a != nil && wanted {
			a.over = true
			m.trim()
		}
		p.Flags = wire.Last
		return p, wanted
	}
	return m.finish(q, false, "")
}

// Fail ends an answer with the text of an error.
func (m *Memory) Fail(q wire.QuestionID, text string) (Piece, bool) { return m.finish(q, true, text) }

func (m *Memory) finish(q wire.QuestionID, failed bool, text string) (Piece, bool) {
	a := m.known[q]
	if a == nil || a.closed || a.over {
		return Piece{}, false
	}
	a.over, a.failed, a.text = true, failed, text
	return a.end(), true
}

// end is the piece behind all parts.
func (a *answer) end() Piece {
	p := Piece{Part: uint32(len(a.parts)), Flags: wire.Last}
	if a.failed {
		p.Flags, p.Body = wire.Failed, []byte(a.text)
	}
	return p
}

// Replay returns what there is of an answer from a part on.
func (m *Memory) Replay(q wire.QuestionID, from uint32) []Piece {
	a := m.known[q]
	if a == nil || a.closed {
		return nil
	}
	var all []Piece
	for i := int(from); i < len(a.parts); i++ {
		all = append(all, Piece{Part: uint32(i), Body: a.parts[i]})
	}
	switch {
	case !a.over || int(from) > len(a.parts):
	case a.failed || len(all) == 0:
		all = append(all, a.end())
	default:
		all[len(all)-1].Flags = wire.Last
	}
	return all
}

// Close notes that nobody wants the answer any more, and reports whether its handler still runs. The question stays known.
func (m *Memory) Close(q wire.QuestionID) (running bool) {
	a := m.known[q]
	if a == nil { // it may still come: an ASK that was overtaken
		m.put(q, &answer{closed: true, over: true})
		return false
	}
	if a.closed {
		return false
	}
	running = !a.over
	m.drop(a)
	m.order = slices.DeleteFunc(m.order, func(o wire.QuestionID) bool { return o == q })
	m.bygone(q)
	return running
}

func (m *Memory) drop(a *answer) {
	for _, p := range a.parts {
		m.bytes -= len(p)
	}
	a.parts, a.closed, a.over = nil, true, true
}

// Open returns the questions that are not over for the members that asked them.
func (m *Memory) Open() []wire.QuestionID {
	var all []wire.QuestionID
	for _, q := range m.order {
		if a := m.known[q]; a != nil && !a.closed {
			all = append(all, q)
		}
	}
	return all
}

// Running counts the questions whose answer is not over.
func (m *Memory) Running() int {
	n := 0
	for _, a := range m.known {
		if !a.over {
			n++
		}
	}
	return n
}

// Bytes returns how much of answers is kept.
func (m *Memory) Bytes() int { return m.bytes }

// trim keeps the bounds. An answer that is given up for room says so if it is asked for again.
func (m *Memory) trim() {
	if m.bytes > m.MaxBytes {
		for _, q := range m.order {
			if a := m.known[q]; a != nil && a.over && !a.closed && m.bytes > m.MaxBytes {
				m.drop(a)
				a.closed, a.failed, a.text = false, true, "the answer was given and is kept no more: the member's memory for answers that nobody has acknowledged is full"
			}
		}
	}
}

// bygone remembers that a question is over, and forgets the oldest such one when there are too many.
func (m *Memory) bygone(q wire.QuestionID) {
	m.past = append(m.past, q)
	for len(m.past) > m.MaxKnown {
		delete(m.known, m.past[0])
		m.past = m.past[1:]
	}
}
