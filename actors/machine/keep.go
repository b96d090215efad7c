package machine

import (
	"encoding/binary"
	"time"

	"github.com/troupe-mq/troupe/actors/prio"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// Key is a session key: who shows it may take the hit up.
type Key [16]byte

// maxUnacked is how many answers a client may leave unacknowledged, beyond which its calls are refused.
const maxUnacked = 4096

// keep is what a hit has that outlives its client's connection (hit.md, section 13); others have none.
type keep struct {
	key    Key
	time   time.Duration   // how long the hit is kept without its client
	most   int             // bytes of answers kept
	acked  uint32          // the client has all answers up to this one
	kept   []*wire.Message // the answers behind it, in order and with bytes of their own; nil: it did not fit
	bytes  int             // of kept
	told   bool            // the client knows the key
	over   bool            // the time is over, or the client has left for good: there is nothing to take up
	closed *wire.Message   // CLOSED, once the client was or would have been told the end
	peer   wire.Peer       // who held the hit last

	// The broker's:
	holder string        // name of the client that has lost it
	until  time.Duration // when the time is over
	index  int           // in the heap of those without a client, -1 when out
}

// unkept is the text of an ERROR whose own text did not fit.
var unkept = []byte("the error's text was too large to be kept while nobody was there (the broker's --max-kept)")

// add keeps an answer that leaves under this header. A second one to the same call replaces the first: it ends a reply in parts.
func (k *keep) add(head wire.Header, m *wire.Message) {
	if k.closed != nil || k.over || int32(head.Seq-k.acked) <= 0 {
		return
	}
	if i := int(head.Seq-k.acked) - 1; i < len(k.kept) {
		if old := k.kept[i]; old != nil {
			k.bytes -= old.Size
		}
		k.kept = k.kept[:i]
	}
	switch {
	case k.bytes+m.Size <= k.most && !head.Flags.Has(wire.More):
	case head.Type == wire.Error: // it may say that the call never started, which must not become "finished"
		k.kept = append(k.kept, wire.NewMessage(head, unkept))
		k.bytes += wire.HeaderSize + len(unkept)
		return
	default:
		k.kept = append(k.kept, nil)
		return
	}
	c := m.Copy()
	c.Header = head
	k.kept = append(k.kept, c)
	k.bytes += c.Size
}

// ack forgets the answers up to seq.
func (k *keep) ack(seq uint32) {
	n := min(int(seq-k.acked), len(k.kept))
	for _, m := range k.kept[:n] {
		if m != nil {
			k.bytes -= m.Size
		}
	}
	clear(k.kept[:n])
	k.kept = k.kept[n:]
	k.acked = seq
	if len(k.kept) == 0 {
		k.kept = nil
	}
}

// acknowledge takes an ACK.
func (h *Hit) acknowledge(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	k, seq := h.keep, m.Header.Arg
	switch {
	case k == nil:
		return refuse(fx, m, wire.BadSeq, "ACK of hit %x, which keeps no answers: open it with resume_ms, or leave ACK out", h.Handle)
	case seq > h.Answered:
		return refuse(fx, m, wire.BadSeq, "ACK of hit %x up to answer %d, of which %d were sent: acknowledge what was received", h.Handle, seq, h.Answered)
	case seq < k.acked:
		return append(fx, Effect{Kind: Count, Status: wire.BadSeq})
	}
	k.ack(seq)
	if len(k.kept) == 0 && (k.closed != nil || h.lastAnswered()) {
		k.over = true // its client knows all there is to know
	}
	return fx
}

// heldBy reports whether a message comes from the connection that holds the hit, or held it until it was told the end.
func (h *Hit) heldBy(m *wire.Message) bool {
	return h.keep != nil && m.From == h.keep.peer && m.Header.Epoch == h.Attachment
}

// resume hands the hit to the connection that has shown its key to the broker. The one that held it is told.
func (h *Hit) resume(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	if k := h.keep; h.State == Ended || k == nil || k.over {
		return unknownHit(m, fx)
	}
	if h.Client != 0 && h.Client != m.From {
		head := h.toClient(wire.Closed, 0)
		head.Status, head.Arg = wire.Fenced, h.Accepted
		fx = append(fx, Effect{Kind: Count, Status: wire.Fenced},
			send(h.Client, head, []byte("another connection has taken the hit up with its key: go on there, or open another one")))
	}
	return h.attach(m, fx)
}

// attach begins the next attachment: the client is told where the hit stands, and what it has not received.
func (h *Hit) attach(m *wire.Message, fx []Effect) []Effect {
	k := h.keep
	h.Attachment++
	h.Client, h.hears, k.peer = m.From, true, m.From
	if seq := m.Header.Arg; seq > k.acked {
		k.ack(seq)
	}
	head := h.toClient(wire.Resumed, h.Accepted)
	head.Arg = h.Answered
	fx = append(fx, send(h.Client, head, []byte(h.names.Worker), binary.BigEndian.AppendUint32(nil, k.acked)))
	for i, kept := range k.kept {
		fx = append(fx, h.again(k.acked+1+uint32(i), kept))
	}
	if k.closed != nil {
		head := k.closed.Header
		head.Epoch = h.Attachment
		fx = append(fx, Effect{Kind: Forward, To: h.Client, Header: head, Msg: k.closed})
	}
	if k.closed != nil || h.lastAnswered() {
		h.Client, h.hears = 0, false // it has been told the end
	}
	return fx
}

// again sends a kept answer under the present attachment.
func (h *Hit) again(seq uint32, m *wire.Message) Effect {
	if m != nil {
		head := m.Header
		head.Epoch = h.Attachment
		return Effect{Kind: Forward, To: h.Client, Header: head, Msg: m}
	}
	head := h.toClient(wire.Error, seq)
	head.Status, head.Arg = wire.LostReply, uint32(wire.ReplyLost)
	if seq == h.LastSeq {
		head.Flags = wire.Last
	}
	return send(h.Client, head, []byte("the call was answered while nobody was there, and the answer was too large to be kept (the broker's --max-kept): ask the service what became of it"))
}

// drift leaves the hit without a client, who may come back.
func (h *Hit) drift(fx []Effect) []Effect {
	h.Client, h.hears = 0, false
	return h.cutFlow(fx)
}

// adrift reports whether the hit waits for its client to come back.
func (h *Hit) adrift() bool {
	k := h.keep
	return k != nil && k.told && !k.over && k.closed == nil && h.Client == 0 && h.State != Ended && !h.lastAnswered()
}

// lastAnswered reports whether the client has been told the end by the answer to the hit's last call.
func (h *Hit) lastAnswered() bool { return h.LastSeq != 0 && h.Answered == h.LastSeq }

// remember notes the end that the client is told, or would be.
func (k *keep) remember(head wire.Header, text, why []byte) {
	if k.closed == nil && k.told {
		frames := [][]byte{text}
		if why != nil {
			frames = append(frames, why)
		}
		k.closed = wire.NewMessage(head, frames...).Copy()
	}
}

// drifters are the hits, and the ends of hits, that nobody holds: the first is given up first.
type drifters struct{ prio.Queue[*Hit] }

func newDrifters() drifters {
	return drifters{prio.New(givenUpBefore, func(h *Hit) *int { return &h.keep.index })}
}

func givenUpBefore(a, b *Hit) bool {
	if a.keep.until != b.keep.until {
		return a.keep.until < b.keep.until
	}
	return a.Handle < b.Handle
}

func (d *drifters) add(h *Hit, until time.Duration) {
	h.keep.until = until
	d.Fix(h)
}
