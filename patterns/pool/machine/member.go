package machine

import (
	"fmt"
	"slices"

	"github.com/troupe-mq/troupe/patterns/pool/machine/election"
	"github.com/troupe-mq/troupe/patterns/pool/machine/vote"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
	"github.com/troupe-mq/troupe/supervision/why"
)

// follow takes somebody for master.
func (n *Node) follow(term uint64, master wire.Record) {
	n.master, n.welcomed, n.seen, n.heard, n.rescan, n.seeks = master, false, 0, n.now, 0, 0
	n.doubt.Begin(n.now, master, term)
	n.do(follow{term, master})
	n.greet()
	n.do(changed{})
}

// unfollow forgets the master: there is none.
func (n *Node) unfollow() {
	n.welcomed, n.hello = false, 0
	n.doubt.Rest()
}

// greet says who we are, again and again until the master has told us its view.
func (n *Node) greet() {
	m := wire.Message{Type: wire.Hello, Note: &wire.Note{Record: &n.cfg.Me, Ended: n.endings()}}
	if n.cfg.Guest {
		m.Flags, m.Note.Ended = wire.Guest, nil
	}
	n.toMaster(m)
	n.hello = n.now + n.cfg.Beat
}

// endings is how members of this host have ended, as far as we know. The new master may be somebody who has come after that.
func (n *Node) endings() []wire.Ended {
	h := n.view.Host(n.cfg.Me.Host)
	if h == nil {
		return nil
	}
	all := slices.Clone(h.Ended)
	for _, m := range h.Members {
		if n.left[m.ID] || n.killed[m.ID] != "" {
			all = append(all, n.ending(m))
		}
	}
	return all[max(0, len(all)-wire.MaxEnded):]
}

// toMaster sends to the own master, which may be ourselves.
func (n *Node) toMaster(m wire.Message) {
	switch n.el.State() {
	case election.Following:
		n.send(Peer{Member: n.master.ID}, m)
	case election.Leading:
		m.Term, m.Host = n.el.Term(), n.cfg.Me.Host
		if m.From == 0 {
			m.From = n.cfg.Me.ID
		}
		if h := fromMember[m.Type]; h != nil && n.own != nil {
			h(n, n.cfg.Me.ID, m)
		}
	case election.Seeking, election.Claiming, election.Off:
		// It is asked for again once there is a master.
	}
}

// toMember sends to a member or guest of this host, which may be ourselves.
func (n *Node) toMember(id wire.MemberID, m wire.Message) {
	if id != n.cfg.Me.ID {
		n.send(Peer{Member: id}, m)
		return
	}
	m.Term, m.Host = n.el.Term(), n.cfg.Me.Host
	if h := fromMaster[m.Type]; h != nil {
		h(n, m)
	}
}

// fromMaster has what is obeyed of the own master.
var fromMaster map[wire.Type]func(*Node, wire.Message)

func init() {
	fromMaster = map[wire.Type]func(*Node, wire.Message){
		wire.ViewIs: (*Node).gotView, wire.Ping: (*Node).gotPing, wire.AskAll: (*Node).asked, wire.RosterIs: (*Node).gotRoster, wire.Part: (*Node).gotPart,
		wire.Done: (*Node).gotDone, wire.Leave: (*Node).masterLeft,
	}
}

// gotView takes in what the master knows of all hosts.
func (n *Node) gotView(m wire.Message) {
	v := m.Note.View
	if n.welcomed && v.Version < n.seen {
		return
	}
	first := !n.welcomed
	n.welcomed, n.seen, n.hello = true, v.Version, 0
	n.view.Take(v)
	n.prune()
	n.look()
	if first {
		n.redriveAll()
	}
	n.do(changed{})
}

func (n *Node) gotPing(wire.Message) {
	n.toMaster(wire.Message{Type: wire.Pong, Version: n.seen})
}

// masterLeft: its lock is free by now.
func (n *Node) masterLeft(m wire.Message) {
	n.left[n.master.ID] = true
	n.elect(n.el.Ended(m.Term))
}

// judgeMaster lets the doubt about the master go on.
func (n *Node) judgeMaster(fx []vote.Effect) {
	for _, e := range fx {
		switch e.Kind {
		case vote.Look:
			n.do(look{n.el.Term(), n.master})
		case vote.Poll:
			n.send(Peer{Member: e.To}, wire.Message{Type: wire.PollIs, Seq: e.Seq, Note: &wire.Note{Poll: &wire.Poll{Target: n.master.ID, Term: n.el.Term()}}})
		case vote.Ballot:
			b := e.Ballot
			n.send(Peer{Member: e.To}, wire.Message{Type: wire.BallotIs, Seq: e.Seq, Note: &wire.Note{Ballot: &b}})
		case vote.Kill:
			n.announce(n.killed[n.master.ID])
			n.do(kill{n.el.Term(), n.master})
		case vote.Ended:
			n.elect(n.el.Ended(n.el.Term()))
		case vote.Tell:
			n.tellMaster(e)
		}
	}
}

// tellMaster records a verdict on the master.
func (n *Node) tellMaster(e vote.Effect) {
	r := why.Record{
		Verdict: e.Verdict, Detector: "silence of the master, and the kernel", Measured: fmt.Sprintf("nothing of %s (process %d) for %v", n.master.Name, n.master.PID, e.Silent),
		Done: e.Done, Knob: "--silence, --no-kill", Worker: n.master.Name, AtMS: n.now.Milliseconds(),
	}
	if e.Finding != "" {
		r.Measured += ": " + e.Finding
	}
	r.Measure("silent", e.Silent, n.cfg.Silence)
	for id, b := range n.doubt.Votes() {
		r.Hear(why.Sign{What: fmt.Sprintf("vote of %s: guilty=%t, %s", n.nameOf(id), b.Guilty, b.Finding), AgoMS: b.SilentMS})
	}
	if e.Verdict == wire.HowKilled {
		n.killed[n.master.ID] = e.Done
	}
	n.record(r)
	if e.Final {
		for seq, a := range n.asks {
			a.book.Cut(e.Verdict, fmt.Sprintf("the way to it leads through the master %s, which is hung and is not killed: %s", n.master.Name, e.Done))
			n.settle(seq, a)
		}
	}
}

// announce tells the members of the host what was decided, past the master.
func (n *Node) announce(how string) {
	h := n.view.Host(n.cfg.Me.Host)
	if h == nil {
		return
	}
	p := wire.Poll{Target: n.master.ID, Term: n.el.Term(), Killed: how}
	for _, m := range h.Members {
		if m.ID != n.cfg.Me.ID && m.ID != n.master.ID {
			n.send(Peer{Member: m.ID}, wire.Message{Type: wire.PollIs, Note: &wire.Note{Poll: &p}})
		}
	}
}

// sentence notes what was decided about a master.
func (n *Node) sentence(id wire.MemberID, how string) {
	n.killed[id] = how
	if n.own == nil {
		return
	}
	for i := range n.own.ended {
		if e := &n.own.ended[i]; e.ID == id && e.How == wire.HowGone {
			e.How, e.Why = wire.HowKilled, how
			n.change()
		}
	}
}

func (n *Node) record(r why.Record) {
	n.whys.Add(r)
	n.do(tell{r})
}

// nameOf returns a member's name, or its id.
func (n *Node) nameOf(id wire.MemberID) string {
	for _, h := range n.view.All() {
		for _, m := range h.Members {
			if m.ID == id {
				return m.Name
			}
		}
	}
	return id.String()
}
