package pubsub

// Message is one update. It is the receiver's own.
type Message struct {
	Topic string
	Body  [][]byte
	// Seq numbers the updates of the topic, from 1; Publisher is a random number of the run of its publisher. Both are 0 from plain publishers.
	Seq, Publisher uint64
	// Missed is how many updates of the topic right before this one did not come and will not.
	Missed uint64
	// Last says that it is a last value: published before the subscription.
	Last bool

	one [1][]byte
	err error // in place of a message
}

// Text returns the first frame of the body, empty if there is none.
func (m *Message) Text() string {
	if len(m.Body) == 0 {
		return ""
	}
	return string(m.Body[0])
}

// copyBody gives the message frames of its own, in one piece of memory.
func (m *Message) copyBody(frames [][]byte) {
	size := 0
	for _, f := range frames {
		size += len(f)
	}
	flat := make([]byte, 0, size)
	m.Body = m.one[:0]
	for _, f := range frames {
		from := len(flat)
		flat = append(flat, f...)
		m.Body = append(m.Body, flat[from:len(flat):len(flat)])
	}
}

// plainMessage is what a plain publisher has sent: the topic ends with a zero byte, or with its frame. A single frame is topic and body.
func plainMessage(frames [][]byte) *Message {
	m := &Message{}
	name := frames[0]
	for i, c := range name {
		if c == 0 {
			name = name[:i]
			break
		}
	}
	m.Topic = string(name)
	if len(frames) > 1 {
		frames = frames[1:]
	}
	m.copyBody(frames)
	return m
}
