package machine

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/supervision/liveness"
)

// TokenSize is the length of a direct hit's token in bytes.
const TokenSize = 16

// direct is what the broker keeps of a hit whose calls it does not see.
type direct struct {
	token []byte
	kib   uint32 // of bodies, both ways, as the worker has told
	told  uint32 // seq of the last TALLY
	lost  *Lost  // the worker's connection is gone, and the verdict waits for its lease to be over
}

// wayKey is the key of a service among the broker's. A blank cannot be in the name of a service.
func wayKey(name []byte, isDirect bool) string {
	if isDirect {
		return "direct " + string(name)
	}
	return string(name)
}

// beginDirect tells the worker of the hit, and with which token its client will come.
func (h *Hit) beginDirect(m *wire.Message, arg uint32, fx []Effect) []Effect {
	begin := wire.NewMessage(m.Header, m.Frame(0), m.Frame(1), h.direct.token)
	begin.From = m.From
	head := wire.Header{Type: wire.Begin, Flags: wire.Direct, Hit: h.Handle, Epoch: h.Assignment, Arg: arg}
	return append(fx, Effect{Kind: Forward, To: h.Worker, Header: head, Msg: begin})
}

// openedDirect tells the client where to go. The token is forgotten: it is good for one connection.
func (h *Hit) openedDirect(fx []Effect) []Effect {
	head := wire.Header{Type: wire.Opened, Flags: wire.Ref | wire.Direct, Hit: h.Ref, Epoch: h.Attachment, Arg: h.Thread}
	info := &h.worker.Info
	opened := wire.NewMessage(head, binary.BigEndian.AppendUint64(nil, h.Handle), []byte(h.names.Worker), nil,
		[]byte(info.Direct), h.direct.token, []byte(info.DirectKey))
	h.direct.token = nil
	return append(fx, Effect{Kind: Forward, To: h.Client, Header: head, Msg: opened})
}

// mayHaveBegun is the highest seq that may have begun, as far as the broker knows: of direct calls it knows nothing for certain.
func (h *Hit) mayHaveBegun() uint32 {
	if h.direct != nil {
		return math.MaxUint32
	}
	if h.State == Moving {
		return h.ran()
	}
	return h.Accepted
}

// tally takes a worker's account of a direct hit: calls answered, KiB of their bodies both ways, and whether a call is under way. It is a sign of the
// hit's thread.
func (h *Hit) tally(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	switch {
	case h.direct == nil || h.State == Ended:
		return refuse(fx, m, wire.BadType, "TALLY of hit %x, which is not direct: its calls are counted here", h.Handle)
	case int32(m.Header.Seq-h.direct.told) < 0 || int32(m.Header.Arg-h.direct.kib) < 0:
		return refuse(fx, m, wire.BadSeq, "TALLY of hit %x goes back from %d calls and %d KiB to %d and %d: both only grow",
			h.Handle, h.direct.told, h.direct.kib, m.Header.Seq, m.Header.Arg)
	}
	h.direct.told, h.direct.kib = m.Header.Seq, m.Header.Arg
	if int32(m.Header.Seq-h.Answered) >= 0 { // else a HOLD has overtaken it
		h.account(now, m.Header.Seq, m.Header.Flags.Has(wire.More))
	}
	return fx
}

// account notes how far the calls of a direct hit have come, and that its thread gives a sign: one that has answered another call has begun the next.
func (h *Hit) account(now time.Duration, answered uint32, busy bool) {
	if began := answered != h.Answered || h.Accepted == h.Answered; busy && began {
		h.progress.Turn(liveness.StampOf(now), 0)
	}
	h.progress.Renew(now)
	h.Answered, h.Accepted = answered, answered
	if busy {
		h.Accepted++
		h.watch()
	}
}

// postponed keeps the loss of a direct hit's worker until that cannot serve the client any more, and reports whether it did.
func (h *Hit) postponed(now time.Duration, l *Lost) bool {
	if h.direct == nil || l.Until <= now || !h.hears || h.Client == 0 {
		return false
	}
	h.direct.lost = l
	return true
}

// doomed reports whether the hit waits for no more than its worker's lease to be over.
func (h *Hit) doomed() bool { return h.direct != nil && h.direct.lost != nil }

// concede gives the verdict before the lease is over: the client has closed the hit, so that it does not speak to the worker any more.
func (h *Hit) concede(now time.Duration, fx []Effect) []Effect {
	l := *h.direct.lost
	l.Until = 0
	return h.Lose(now, &l, fx)
}

// renew prolongs the lease under which a worker serves direct hits. It counts here from now, there from when RENEW was sent, which was earlier.
func (w *Worker) renew(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	switch {
	case w.Info.Direct == "":
		return refuse(fx, m, wire.BadType, "RENEW from a worker that has named no endpoint for direct hits: name it in READY")
	case w.State == Gone:
		return fx
	}
	w.granted = now
	return append(fx, send(w.Peer, wire.Header{Type: wire.Grant, Arg: m.Header.Arg}))
}

// leased returns until when the worker may serve direct hits.
func (b *Broker) leased(w *Worker) time.Duration {
	if w.granted == 0 {
		return 0
	}
	return w.granted + b.cfg.Lease
}

// verdict is the loss of a worker that its direct hits are told of when its lease is over.
type verdict struct {
	at   time.Duration
	hits []*Hit
}

// tellLoss tells a worker's hits that it is gone: routed ones at once, direct ones when it has stopped serving them.
func (b *Broker) tellLoss(now time.Duration, w *Worker, why Why, fx []Effect) []Effect {
	until := b.leased(w)
	lost, late := &Lost{Worker: true, Why: why}, verdict{at: until}
	w.hits.each(func(h *Hit) {
		switch {
		case h.orphan: // nobody will end it now
			b.forget(now, h, wire.Internal)
			return
		case h.direct != nil:
			fx = append(fx, Effect{Kind: Tell, Hit: h, Event: &Lost{Worker: true, Why: why, Until: until}})
			late.hits = append(late.hits, h)
		default:
			fx = append(fx, Effect{Kind: Tell, Hit: h, Event: lost})
		}
	})
	if len(late.hits) > 0 {
		b.verdicts = append(b.verdicts, late)
	}
	return fx
}

// overdue tells the direct hits of workers whose leases are over that these are lost.
func (b *Broker) overdue(now time.Duration, fx []Effect) []Effect {
	kept := b.verdicts[:0]
	for _, v := range b.verdicts {
		if v.at > now {
			kept = append(kept, v)
			continue
		}
		for _, h := range v.hits {
			if b.byHandle[h.Handle] == h {
				fx = append(fx, Effect{Kind: Tell, Hit: h, Event: &LeaseOver{}})
			}
		}
	}
	clear(b.verdicts[len(kept):])
	b.verdicts = kept
	return fx
}

// nextVerdict returns when overdue has something to do, 0 for never.
func (b *Broker) nextVerdict() time.Duration {
	var at time.Duration
	for _, v := range b.verdicts {
		if at == 0 || v.at < at {
			at = v.at
		}
	}
	return at
}

// LeaseOver is an event: the worker of a direct hit is lost, and cannot serve it any more.
type LeaseOver struct{}

// Judge takes LeaseOver.
func (h *Hit) Judge(now time.Duration, fx []Effect) []Effect {
	if h.State == Ended || !h.doomed() {
		return fx
	}
	return h.concede(now, fx)
}

// checkDirect judges an OPEN of a direct hit by its flags and options.
func checkDirect(f wire.Flags) error {
	if f.Has(wire.First) {
		return fmt.Errorf("OPEN with the flags direct and first: a direct hit's calls go to its worker, make them after OPENED")
	}
	return nil
}

// noDirect says in words that nobody serves a service on the direct way.
func (b *Broker) noDirect(name []byte) string {
	if s := b.services[string(name)]; s != nil && s.offered {
		return fmt.Sprintf("no worker offers the service %q on the direct way: open it routed, or start a worker with --direct-bind (WorkerConfig.DirectBind)", name)
	}
	return fmt.Sprintf("no worker has offered the service %q (%s): start one with --direct-bind, or correct the name", name, b.offered())
}
