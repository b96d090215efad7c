package wire

import "time"

// Peer names one connection of one socket of a bridge. It is opaque, never reused, and zero names nobody.
type Peer uint64

// Lease is a counted hold on memory that bytes live in. Release at zero gives the memory back for reuse.
type Lease interface {
	Retain()
	Release()
}

// Message is one decoded message on its way through the house.
//
// Body borrows from the arena it was received into. Whoever keeps the message beyond the handler it was
// delivered to calls Retain, and Release when done; whoever hands it to another goroutine hands on a Copy instead.
// A message made by NewMessage or Copy owns its bytes, and Retain and Release do nothing.
// A Message is not safe for concurrent use.
type Message struct {
	Header Header
	From   Peer
	Body   [][]byte      // the frames after the header
	Size   int           // bytes of all frames, header included
	At     time.Duration // when it was received, by the clock of its loop; later messages have later times
	Lease  Lease         // nil: the bytes are the garbage collector's
	Slot   uint32        // the bridge's: where in the lease's arena the message lies
}

// NewMessage returns a message that owns nothing but what it is given.
func NewMessage(h Header, body ...[]byte) *Message {
	m := &Message{Header: h, Body: body, Size: HeaderSize}
	for _, f := range body {
		m.Size += len(f)
	}
	return m
}

// Retain takes one more hold on the bytes.
func (m *Message) Retain() {
	if m.Lease != nil {
		m.Lease.Retain()
	}
}

// Release gives up one hold. The body must not be touched afterwards by this holder.
func (m *Message) Release() {
	if m.Lease != nil {
		m.Lease.Release()
	}
}

// Copy returns the message with bytes of its own: three allocations, however many frames.
func (m *Message) Copy() *Message {
	c := &Message{Header: m.Header, From: m.From, Size: m.Size, At: m.At}
	buf := make([]byte, 0, m.BodySize())
	c.Body = make([][]byte, len(m.Body))
	for i, f := range m.Body {
		n := len(buf)
		buf = append(buf, f...)
		c.Body[i] = buf[n:len(buf):len(buf)]
	}
	return c
}

// BodySize returns the bytes of the frames after the header.
func (m *Message) BodySize() int {
	n := 0
	for _, f := range m.Body {
		n += len(f)
	}
	return n
}

// Frame returns the i-th frame after the header, nil if there is none.
func (m *Message) Frame(i int) []byte {
	if i < len(m.Body) {
		return m.Body[i]
	}
	return nil
}
