package machine

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/patterns/pool/machine/election"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
	"github.com/troupe-mq/troupe/supervision/liveness"
)

// Tick lets time pass. The host has read all that had come before: what waits to be read is nobody's silence.
func (n *Node) Tick(now time.Duration) []Effect {
	n.begin(now)
	if n.el.State() == election.Off {
		return n.end()
	}
	if n.now >= n.judge.Deadline() {
		n.judge.Ran(n.now)
	}
	since := n.judge.Since()
	switch {
	case n.cfg.Guest:
		n.doubtAsGuest()
	case n.el.State() == election.Following:
		n.judgeMaster(n.doubt.Run(n.now, since))
	}
	if n.own != nil {
		n.tickReign(since)
	}
	if n.hello > 0 && n.now >= n.hello && n.el.State() == election.Following {
		n.greet()
	}
	if n.rescan > 0 && n.now >= n.rescan && n.el.State() == election.Seeking {
		n.scan()
	}
	n.tickAsks()
	return n.end()
}

// patience is how many times Silence a guest waits for a master that is gone or hung to be replaced.
const patience = 4

// doubtAsGuest looks for another master where the own one is silent, or gone. A guest has no vote; when nobody has replaced the master, it waits no longer.
func (n *Node) doubtAsGuest() {
	silent := n.now - max(n.heard, n.judge.Since())
	if silent < n.cfg.Silence {
		return
	}
	if n.el.State() == election.Following && n.now >= n.rescan {
		n.scan()
		n.greet() // or it has given us up
		n.rescan = n.now + n.cfg.Silence/4
	}
	if silent >= patience*n.cfg.Silence {
		n.heard = n.now
		for _, seq := range n.open() {
			a := n.asks[seq]
			a.book.Cut("FROZEN", fmt.Sprintf("no master was heard on this host for %v, and nobody has taken its place", silent))
			n.settle(seq, a)
		}
	}
}

func (n *Node) tickReign(since time.Duration) {
	own := n.own
	ran := liveness.Event{What: liveness.Ran, Since: since}
	for _, all := range []map[wire.MemberID]*subject{own.members, own.guests} {
		for _, id := range slices.Sorted(maps.Keys(all)) {
			s := all[id]
			if at := s.peer.Deadline(); id != n.cfg.Me.ID && at > 0 && n.now >= at {
				n.judgeMember(s, s.peer.Step(n.now, ran, nil))
			} else if s.peer.State() == liveness.Stopped && n.now >= own.thaw {
				n.send(Peer{Member: id}, wire.Message{Type: wire.Ping, Version: own.pushed}) // it may come back
			}
		}
	}
	if n.now >= own.thaw {
		own.thaw = n.now + n.cfg.Beat
		n.judgeHosts()
	}
	if own.push > 0 && n.now >= own.push {
		n.publish()
	}
	if n.now >= own.check {
		own.check = n.now + n.cfg.Silence
		n.scan() // is ours still the highest term?
	}
}

func (n *Node) tickAsks() {
	for _, seq := range n.open() {
		a := n.asks[seq]
		switch {
		case a == nil:
		case a.until > 0 && n.now >= a.until:
			n.expire(seq)
		case n.now >= a.next:
			n.drive(seq, a)
			n.settle(seq, a)
		}
	}
	if n.doneAt > 0 && n.now >= n.doneAt {
		n.tellDone()
	}
}

// Deadline says when Tick has something to do.
func (n *Node) Deadline() time.Duration {
	at := n.judge.Deadline()
	sooner := func(t time.Duration) {
		if t > 0 && t < at {
			at = t
		}
	}
	sooner(n.doubt.Deadline())
	sooner(n.hello)
	sooner(n.rescan)
	if n.Ready() {
		sooner(n.doneAt)
	}
	for _, a := range n.asks {
		sooner(a.next)
		sooner(a.until)
	}
	if n.own != nil {
		sooner(n.own.push)
		sooner(n.own.thaw)
		sooner(n.own.check)
		for _, all := range []map[wire.MemberID]*subject{n.own.members, n.own.guests} {
			for _, s := range all {
				sooner(s.peer.Deadline())
			}
		}
	}
	return at
}
