package machine_test

import (
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// comeBack gives a client that has lost its connection another one. What was on its way is lost, and so are its opens, and hits without a key.
func (c *player) comeBack() {
	c.link, c.out = c.connect(), nil
	c.say(wire.Header{Type: wire.Hello}, "{}")
	for _, o := range c.opens {
		o.answered = true
	}
	kept := c.hits[:0]
	for _, h := range c.hits {
		if h.key != "" && !h.over {
			kept = append(kept, h)
		}
	}
	c.hits = kept
	for _, h := range kept {
		h.said, h.closes = 0, 0
		c.resume(h)
	}
}

func (c *player) resume(h *played) {
	h.tries++
	c.say(wire.Header{Type: wire.Resume, Hit: h.handle, Seq: h.next - 1, Arg: h.heard}, h.key)
}

// keepUp acknowledges, or takes a hit from another client that has told its key.
func (c *player) keepUp(h *played) {
	if h.key != "" && !h.over && h.tries == 0 && c.chance(2, "ACK") {
		c.acknowledge(h)
		return
	}
	other := c.clients[c.draw(len(c.clients), "whose key")]
	if other == c || other.wild || len(other.hits) == 0 {
		return
	}
	theirs := other.hits[c.draw(len(other.hits), "which key")]
	if theirs.key == "" || theirs.over {
		return
	}
	for _, mine := range c.hits {
		if mine.handle == theirs.handle {
			return
		}
	}
	taken := &played{handle: theirs.handle, key: theirs.key, epoch: theirs.epoch, next: 1, lied: theirs.lied, strange: true, refused: true}
	c.hits = append(c.hits, taken)
	c.resume(taken)
}

func (c *player) acknowledge(h *played) {
	c.say(wire.Header{Type: wire.Ack, Hit: h.handle, Epoch: h.epoch, Arg: h.heard})
}

// resumed takes RESUMED: calls behind those that the broker knows never started, and the others are answered yet.
func (c *player) resumed(m *wire.Message) {
	h := c.hitOf(m)
	require.NotNil(c.t, h)
	require.Positive(c.t, h.tries, "RESUMED unasked")
	require.Greater(c.t, m.Header.Epoch, h.epoch)
	if m.Header.Epoch-h.epoch > h.tries {
		h.strange, h.refused = true, true // somebody else has held it
	}
	h.epoch, h.tries = m.Header.Epoch, 0
	var under []*asking
	for _, a := range h.calls {
		switch {
		case h.strange:
		case a.seq > m.Header.Seq:
			if !h.lied {
				c.deny(a.body, m)
			}
		default:
			under = append(under, a)
		}
	}
	if h.calls = under; h.strange {
		return
	}
	require.LessOrEqual(c.t, m.Header.Seq, h.next-1)
	h.next = m.Header.Seq + 1
	h.refused, h.last = false, false
}

// notResumed takes the refusal of RESUME.
func (c *player) notResumed(h *played, m *wire.Message) {
	require.Contains(c.t, []wire.Status{wire.UnknownHit, wire.BadSeq}, m.Header.Status, "%s", m.Frame(0))
	h.over, h.tries, h.calls = true, 0, nil
}

func (c *player) hitOf(m *wire.Message) *played {
	for _, x := range c.hits {
		if x.handle == m.Header.Hit {
			return x
		}
	}
	return nil
}
