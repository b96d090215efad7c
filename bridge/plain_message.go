package bridge

import "github.com/asynkron/protoactor-go/actor"

// Message is what a peer has sent: a registered actor receives it with the peer as ctx.Sender(), a Request's future yields it. It belongs to
// the receiver, bytes included.
type Message struct {
	Frames   [][]byte   // the body, without the address
	From     *actor.PID // the peer
	Identity string     // the peer's ZeroMQ identity
}

// Frame returns frame i of the body, nil if there are not as many.
func (m *Message) Frame(i int) []byte {
	if i < 0 || i >= len(m.Frames) {
		return nil
	}
	return m.Frames[i]
}

// Frames is a body to send to a peer, in so many frames. The bytes are copied when it is sent.
type Frames [][]byte

// newMessage copies a received body of so many bytes.
func newMessage(peer *plainPeer, body [][]byte, size int) *Message {
	m := &Message{Frames: make([][]byte, len(body)), From: peer.pid, Identity: peer.identity}
	buf := make([]byte, 0, size)
	for i, f := range body {
		start := len(buf)
		buf = append(buf, f...)
		m.Frames[i] = buf[start:len(buf):len(buf)]
	}
	return m
}

// bodyOf returns the frames of what an actor sends to a peer: Frames, [][]byte, []byte, string, or a *Message to pass on.
func bodyOf(message any) ([][]byte, bool) {
	switch m := message.(type) {
	case Frames:
		return m, true
	case [][]byte:
		return m, true
	case []byte:
		return [][]byte{m}, true
	case string:
		return [][]byte{[]byte(m)}, true
	case *Message:
		return m.Frames, true
	}
	return nil, false
}
