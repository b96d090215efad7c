package machine

import (
	"crypto/subtle"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// options is what the broker itself takes from an OPEN.
type options struct {
	label  string
	resume time.Duration
	target *wire.Target // nil: any worker
	task   *wire.TaskOptions
	kept   *task // of that
}

// keepFor gives a fresh hit what it needs to outlive its client, if its OPEN asks for that.
func (b *Broker) keepFor(h *Hit, o options) {
	if o.resume <= 0 || b.cfg.MaxResume <= 0 {
		return
	}
	most := b.cfg.MaxKept
	if w := h.client.window; w > 0 {
		most = min(most, int(w)) // what is sent at once when the client comes back
	}
	h.keep = &keep{key: b.ports.Key(), time: min(o.resume, b.cfg.MaxResume), most: most, index: -1}
}

// resume gives a hit to whoever shows its key.
func (b *Broker) resume(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	c := b.clients[m.From]
	if c == nil || c.left {
		return refuse(fx, m, wire.NotRegistered, "RESUME from a connection whose HELLO was refused, or that has said BYE: say HELLO first")
	}
	h := b.byHandle[m.Header.Hit]
	if h == nil {
		h = b.graves[m.Header.Hit]
	}
	if h == nil || h.keep != nil && h.keep.over {
		return unknownHit(m, fx)
	}
	if h.keep == nil || subtle.ConstantTimeCompare(h.keep.key[:], m.Frame(0)) != 1 {
		return refuse(fx, m, wire.BadKey, "the key is not that of hit %x: use the one that came with OPENED, and open the hit with resume_ms", m.Header.Hit)
	}
	if m.Header.Arg > h.Answered {
		return refuse(fx, m, wire.BadSeq, "RESUME of hit %x says that answer %d was received, of which %d were sent: is the ticket damaged?", h.Handle, m.Header.Arg, h.Answered)
	}
	b.totals.Resumed++
	if h.State == Ended { // its actor is done: what is left to be told is told here
		return h.attach(m, fx)
	}
	b.adrift.Remove(h)
	b.move(h, c)
	return append(fx, Effect{Kind: Tell, Hit: h, Event: m})
}

// move makes a hit another client's.
func (b *Broker) move(h *Hit, to *client) {
	h.client.hits.remove(h)
	h.client = to
	to.hits.add(h)
}

// detach leaves a hit adrift because its client wants it so.
func (b *Broker) detach(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	h := b.byHandle[m.Header.Hit]
	switch {
	case h == nil || h.State == Ended:
		return append(fx, Effect{Kind: Count, Status: wire.UnknownHit}) // it crosses the end in good faith
	case h.keep == nil:
		return refuse(fx, m, wire.BadKey, "DETACH of hit %x, which has no key: open it with resume_ms", h.Handle)
	case h.client.peer != m.From || h.Attachment != m.Header.Epoch:
		return refuse(fx, m, wire.StaleEpoch, "DETACH of hit %x under epoch %d, which is not the present attachment: RESUME it first", h.Handle, m.Header.Epoch)
	}
	return b.drift(now, h, Why{Verdict: "GONE", Detector: "said", Measured: "the client said DETACH"}, fx)
}

// drift leaves a hit without its client until its time is over.
func (b *Broker) drift(now time.Duration, h *Hit, why Why, fx []Effect) []Effect {
	h.keep.holder = h.client.name
	b.move(h, &b.nobody)
	b.adrift.add(h, now+h.keep.time)
	return append(fx, Effect{Kind: Tell, Hit: h, Event: &Lost{Why: why}})
}

// bury keeps what the client of a hit that has ended may still have to be told: answers and CLOSED.
func (b *Broker) bury(now time.Duration, h *Hit) {
	k := h.keep
	if k == nil {
		return
	}
	b.adrift.Remove(h)
	if k.over || !k.told || k.closed == nil && len(k.kept) == 0 {
		return
	}
	h.client, h.worker, h.State = nil, nil, Ended
	if b.graves == nil {
		b.graves = make(map[uint64]*Hit)
	}
	b.graves[h.Handle] = h
	b.adrift.add(h, now+k.time)
}

// lateAck takes the ACK of a hit that has ended: its client has got everything. Others cross the end in good faith.
func (b *Broker) lateAck(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	h := b.graves[m.Header.Hit]
	if h == nil {
		return fx
	}
	if !h.heldBy(m) || m.Header.Arg > h.Answered {
		return append(fx, Effect{Kind: Count, Status: wire.BadSeq})
	}
	if k := h.keep; m.Header.Arg >= k.acked+uint32(len(k.kept)) {
		b.adrift.Remove(h)
		delete(b.graves, h.Handle)
	}
	return fx
}

// giveUp ends what nobody has taken up in time.
func (b *Broker) giveUp(now time.Duration, fx []Effect) []Effect {
	for b.adrift.Len() > 0 && b.adrift.First().keep.until <= now {
		h := b.adrift.First()
		b.adrift.Remove(h)
		if b.graves[h.Handle] == h {
			delete(b.graves, h.Handle)
			continue
		}
		b.totals.Abandoned++
		why := Why{
			Verdict: "GONE", Detector: "resume time", Measured: "nobody took the hit up again within " + h.keep.time.String(), Done: "the hit is ended",
			Knob: "resume_ms of OPEN, the broker's --max-resume",
		}
		fx = append(fx, Effect{Kind: Tell, Hit: h, Event: &Lost{Why: why, Final: true}})
	}
	return fx
}
