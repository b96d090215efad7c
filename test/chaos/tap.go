package chaos

import (
	"fmt"
	"sync"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/test/harness"
)

// Tap reads what passes between clients and a broker, and sees what no client would tell: answers that come twice, out of order, or after the hit is over. It knows nothing
// of clients and brokers but the protocol.
type Tap struct {
	mu       sync.Mutex
	found    []Violation
	messages uint64
	answers  uint64
}

// Watch is for harness.Link.Watch.
func (t *Tap) Watch(way harness.Direction, connection uint64) harness.Tap {
	if way == harness.Up {
		return func([]byte) {}
	}
	w := &watched{tap: t, connection: connection, hits: make(map[uint64]*watchedHit), refs: make(map[uint64]bool)}
	return newZMTP(w.down).take
}

// Found returns what was wrong, and how many messages and answers were seen.
func (t *Tap) Found() (found []Violation, messages, answers uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Violation(nil), t.found...), t.messages, t.answers
}

func (t *Tap) blame(promise, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.found) < 1000 {
		t.found = append(t.found, Violation{promise, fmt.Sprintf(format, args...)})
	}
}

// watched is what was seen on one connection, from the broker to the client.
type watched struct {
	tap        *Tap
	connection uint64
	hits       map[uint64]*watchedHit
	refs       map[uint64]bool // opens that have their final answer
}

// watchedHit is a hit under one attachment.
type watchedHit struct {
	epoch    uint32
	answered uint32
	parts    bool // the last answer goes on in parts
	over     bool
}

// down takes a message from the broker.
func (w *watched) down(h wire.Header) {
	w.tap.mu.Lock()
	w.tap.messages++
	w.tap.mu.Unlock()
	switch h.Type {
	case wire.Opened, wire.Resumed:
		w.begins(h)
	case wire.Reply, wire.Error:
		w.answer(h)
	case wire.Part:
		if hit := w.hits[h.Hit]; hit != nil && hit.answered == h.Seq && !h.Flags.Has(wire.More) {
			hit.parts = false
		}
	case wire.Closed:
		if hit := w.hits[h.Hit]; hit != nil && !h.Flags.Has(wire.Ref) {
			hit.over = true
		}
	}
}

// begins takes what begins an attachment, or answers an open.
func (w *watched) begins(h wire.Header) {
	if h.Type == wire.Opened {
		w.final(h)
		return // its handle is in a frame; the hit is known from its first answer
	}
	w.hits[h.Hit] = &watchedHit{epoch: h.Epoch}
}

// final takes the answer to an open by its reference. Each has one.
func (w *watched) final(h wire.Header) {
	if w.refs[h.Hit] {
		w.tap.blame("doubled", "connection %d: open %d was answered before, and now by %v", w.connection, h.Hit, h)
	}
	w.refs[h.Hit] = true
}

// answer takes the answer to a call. Refusals of the broker free their number, and are none.
func (w *watched) answer(h wire.Header) {
	if h.Flags.Has(wire.Ref) {
		w.final(h)
		return
	}
	if h.Hit == 0 || h.Seq == 0 || refusal(h) {
		return
	}
	w.tap.mu.Lock()
	w.tap.answers++
	w.tap.mu.Unlock()
	hit := w.hits[h.Hit]
	if hit == nil {
		hit = &watchedHit{epoch: h.Epoch}
		w.hits[h.Hit] = hit
	}
	switch {
	case hit.over:
		w.tap.blame("stale", "connection %d: hit %x was over, and now comes %v", w.connection, h.Hit, h)
	case h.Epoch != hit.epoch:
		w.tap.blame("stale", "connection %d: hit %x is attached under epoch %d, and now comes %v", w.connection, h.Hit, hit.epoch, h)
	case h.Seq == hit.answered && hit.parts && h.Type == wire.Error:
		hit.parts = false // it ends a reply in the middle
	case h.Seq == hit.answered:
		w.tap.blame("doubled", "connection %d: hit %x: call %d was answered before, and now by %v", w.connection, h.Hit, h.Seq, h)
	case h.Seq < hit.answered:
		w.tap.blame("order", "connection %d: hit %x: call %d was answered before, and now comes %v", w.connection, h.Hit, hit.answered, h)
	default:
		hit.answered, hit.parts = h.Seq, h.Flags.Has(wire.More)
	}
	if h.Flags.Has(wire.Last) {
		hit.over = true
	}
}

// refusal reports an ERROR of the broker that refused a call before it reached the worker.
func refusal(h wire.Header) bool {
	if h.Type != wire.Error || h.Arg != uint32(wire.NeverStarted) {
		return false
	}
	switch h.Status {
	case wire.Expired, wire.Cancelled, wire.LostReply:
		return false
	}
	return true
}
