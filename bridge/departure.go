package bridge

import "time"

// departure is the loss of a connection, from the event that tells of it until all that came over it before has been read. libzmq tells of the
// end before it hands over the last messages, so that an empty socket means nothing until it also takes no message for the peer any more
// (at a ROUTER), or begins to connect again (at a DEALER).
type departure struct {
	since    time.Duration // when the event was heard
	sure     bool          // the last messages can be read
	round    uint64        // when that was known: a batch later than this one must come up short
	detector string
	detail   string
}

// lastWords bounds the wait for libzmq to confirm a departure.
const lastWords = 100 * time.Millisecond

func (d *departure) confirm(round uint64) {
	if !d.sure {
		d.sure, d.round = true, round
	}
}

// over reports whether nothing more can come. The last batch was the given one, and left the socket empty or not.
func (d *departure) over(now time.Duration, round uint64, empty bool) bool {
	if d.sure {
		return empty && round > d.round || round-d.round > maxLastWords
	}
	return now-d.since > lastWords
}

// leave notes that a peer's connection is lost. It is given up when what it said last has been read.
func (ep *Endpoint) leave(p *peer, detail string) {
	if p.end != nil {
		return
	}
	ep.unclaim(p)
	p.end = &departure{since: time.Duration(ep.loop.now), detector: "disconnected", detail: detail}
	ep.leavers = append(ep.leavers, p)
}

// attend looks after departures that are not confirmed: a PING that libzmq refuses confirms them.
func (ep *Endpoint) attend() {
	for _, p := range ep.leavers {
		if !p.end.sure && ep.loop.peerByRef(p.ref) == p {
			ep.loop.out.probe(p)
		}
	}
}

// departing reports whether the loop is to look again soon.
func (ep *Endpoint) departing() bool {
	return len(ep.leavers) > 0 || (ep.line.end != nil && ep.sock != nil)
}

// bury gives up whose last words were read. It is called after each batch, which left the socket empty or not.
func (ep *Endpoint) bury(empty bool) {
	now := time.Duration(ep.loop.now)
	if d := ep.line.end; d != nil && ep.sock != nil && d.over(now, ep.round, empty) {
		ep.Reopen(d.detector, d.detail)
	}
	if len(ep.leavers) == 0 {
		return
	}
	kept := ep.leavers[:0]
	for _, p := range ep.leavers {
		if p.end.over(now, ep.round, empty) {
			ep.loop.lose(p, p.end.detector, p.end.detail)
		} else {
			kept = append(kept, p)
		}
	}
	clear(ep.leavers[len(kept):])
	ep.leavers = kept
}
