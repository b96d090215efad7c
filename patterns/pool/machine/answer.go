package machine

import (
	"time"

	"github.com/troupe-mq/troupe/patterns/pool/machine/ledger"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
)

// asked takes in a question to this member: it runs the handler the first time, and says again what it has said the other times.
func (n *Node) asked(m wire.Message) {
	if n.cfg.Guest {
		n.count("bad")
		return
	}
	q := m.Question()
	if n.mem.Begin(q) {
		n.running[q] = m.AskerHost
		n.do(handle{q, m.AskerHost, m.Body})
		return
	}
	n.count("asked_again")
	for _, p := range n.mem.Replay(q, m.Part) {
		n.say(q, m.AskerHost, p)
	}
}

// say sends a piece of an answer on its way.
func (n *Node) say(q wire.QuestionID, host wire.HostID, p ledger.Piece) {
	n.toMaster(wire.Message{
		Type: wire.Part, Flags: p.Flags, From: n.cfg.Me.ID, Origin: n.cfg.Me.Host, Asker: q.Asker, AskerHost: host, Seq: q.Seq, Part: p.Part, Body: p.Body,
	})
}

// Partly takes in a part of this member's answer, with more to come. The bytes are the Node's from here on.
func (n *Node) Partly(now time.Duration, q wire.QuestionID, body []byte) []Effect {
	n.begin(now)
	if p, ok := n.mem.Add(q, body); ok {
		n.say(q, n.running[q], p)
	}
	return n.end()
}

// Answered takes in the end of this member's answer: its last part, or nil; or the text of an error. The bytes are the Node's from here on.
func (n *Node) Answered(now time.Duration, q wire.QuestionID, last []byte, failure string) []Effect {
	n.begin(now)
	var p ledger.Piece
	var ok bool
	if failure != "" {
		p, ok = n.mem.Fail(q, failure)
	} else {
		p, ok = n.mem.Finish(q, last)
	}
	if ok {
		n.say(q, n.running[q], p)
	}
	delete(n.running, q)
	return n.end()
}

// gotDone takes in that nobody wants some answers any more.
func (n *Node) gotDone(m wire.Message) {
	for _, seq := range m.Note.Done {
		n.close(wire.QuestionID{Asker: m.Asker, Seq: seq})
	}
}

func (n *Node) close(q wire.QuestionID) {
	if n.mem.Close(q) {
		n.do(stop{q})
	}
}

// prune gives up what members have asked that are no more. Guests are in no view; their answers go when there is no room.
func (n *Node) prune() {
	open := n.mem.Open()
	if len(open) == 0 {
		return
	}
	gone := make(map[wire.MemberID]bool)
	for _, h := range n.view.All() {
		for _, e := range h.Ended {
			gone[e.ID] = true
		}
	}
	for _, q := range open {
		if gone[q.Asker] {
			n.close(q)
		}
	}
}
