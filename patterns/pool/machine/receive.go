package machine

import (
	"time"

	"github.com/troupe-mq/troupe/patterns/pool/machine/election"
	"github.com/troupe-mq/troupe/patterns/pool/machine/vote"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
)

// Received takes in a message; by is who it came from, as the transport knows. The body is the Node's from here on.
func (n *Node) Received(now time.Duration, by Peer, m wire.Message) []Effect {
	n.begin(now)
	switch {
	case by.Link != 0:
		n.receiveFar(by.Link, m)
	case side[m.Type] != nil:
		side[m.Type](n, by.Member, m)
	case n.own != nil:
		n.receiveAsMaster(by.Member, m)
	default:
		n.receiveAsMember(by.Member, m)
	}
	return n.end()
}

// receiveAsMaster takes in what a member or guest of this host says.
func (n *Node) receiveAsMaster(by wire.MemberID, m wire.Message) {
	if m.Term != n.own.term && !n.cfg.Faults.NoTermCheck {
		n.count("stale")
		n.elect(n.el.Heard(m.Term))
		return
	}
	n.heardMember(by)
	if h := fromMember[m.Type]; h != nil {
		h(n, by, m)
	}
}

// receiveAsMember takes in what the master says. What another one says, of whatever term, is not heard.
func (n *Node) receiveAsMember(by wire.MemberID, m wire.Message) {
	h := fromMaster[m.Type]
	following := n.el.State() == election.Following
	right := following && by == n.master.ID && m.Term == n.el.Term()
	if n.cfg.Faults.NoTermCheck {
		right = n.el.State() != election.Off
	}
	if h == nil || !right {
		n.count("stale")
		n.elect(n.el.Heard(m.Term))
		return
	}
	if n.cfg.Heard != nil {
		n.cfg.Heard(n.cfg.Me.Host, m.Term, by)
	}
	if by == n.master.ID {
		n.heard, n.rescan = n.now, 0
		n.judgeMaster(n.doubt.Sign(n.now))
	}
	h(n, m)
}

// side has what members say to each other, past the master.
var side map[wire.Type]func(*Node, wire.MemberID, wire.Message)

func init() {
	side = map[wire.Type]func(*Node, wire.MemberID, wire.Message){
		wire.PollIs: (*Node).polled, wire.BallotIs: (*Node).voted, wire.Query: (*Node).queried,
	}
}

func (n *Node) polled(by wire.MemberID, m wire.Message) {
	p := *m.Note.Poll
	if p.Killed != "" {
		n.sentence(p.Target, p.Killed)
		return
	}
	if n.own != nil && p.Target == n.cfg.Me.ID {
		n.count("polled") // somebody thinks that we are hung; this proves that we are not
		n.send(Peer{Member: by}, wire.Message{Type: wire.BallotIs, Seq: m.Seq, Note: &wire.Note{Ballot: &wire.Ballot{Target: p.Target, Term: p.Term, Finding: "abstains: it is the one"}}})
		return
	}
	n.judgeMaster(n.doubt.Polled(n.now, by, m.Seq, p))
}

func (n *Node) voted(by wire.MemberID, m wire.Message) {
	n.judgeMaster(n.doubt.Voted(n.now, by, m.Seq, *m.Note.Ballot))
}

func (n *Node) queried(by wire.MemberID, _ wire.Message) {
	s := n.Status()
	n.send(Peer{Member: by}, wire.Message{Type: wire.Report, Note: &wire.Note{Report: &s}})
}

// Looked takes in a sample of the master's process, and who lives on the host.
func (n *Node) Looked(now time.Duration, term uint64, s vote.Sample, living []wire.MemberID) []Effect {
	n.begin(now)
	n.judgeMaster(n.doubt.Looked(n.now, term, s, living))
	return n.end()
}

// Killed takes in what became of a kill: empty, or why there was none.
func (n *Node) Killed(now time.Duration, term uint64, failure string) []Effect {
	n.begin(now)
	if term == n.el.Term() && failure != "" {
		n.count("kills_failed")
		delete(n.killed, n.master.ID)
		n.doubt.Failed(n.now)
	}
	return n.end()
}
