package machine

import (
	"slices"

	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
	"github.com/troupe-mq/troupe/supervision/liveness"
)

// fromMember has what a master takes from the members and guests of its host.
var fromMember map[wire.Type]func(*Node, wire.MemberID, wire.Message)

func init() {
	fromMember = map[wire.Type]func(*Node, wire.MemberID, wire.Message){
		wire.Hello: (*Node).greeted, wire.Pong: (*Node).ponged, wire.AskAll: (*Node).routeAsk, wire.Part: (*Node).routePart, wire.Done: (*Node).routeDone,
		wire.Leave: (*Node).memberLeft,
	}
}

// heardMember notes a sign of a member or guest.
func (n *Node) heardMember(by wire.MemberID) {
	s := n.own.members[by]
	if s == nil {
		s = n.own.guests[by]
	}
	if s != nil {
		n.judgeMember(s, s.peer.Step(n.now, liveness.Event{What: liveness.Heard}, nil))
	}
}

// greeted takes in who has connected.
func (n *Node) greeted(by wire.MemberID, m wire.Message) {
	if m.Flags&wire.Guest != 0 {
		s := n.own.guests[by]
		if s == nil {
			s = &subject{record: wire.Record{ID: by, Name: "guest " + by.String()}}
			s.peer = liveness.Peer{Silence: n.cfg.Silence, Beat: n.cfg.Beat}
			s.peer.Step(n.now, liveness.Event{What: liveness.Met}, nil)
			n.own.guests[by] = s
		}
		n.welcome(s)
		return
	}
	r := m.Note.Record
	if r == nil || r.ID != by || by == n.cfg.Me.ID {
		n.count("bad")
		return
	}
	s := n.enroll(*r)
	n.learn(m.Note.Ended)
	n.welcome(s)
}

// learn takes in how members have ended before we were here.
func (n *Node) learn(ended []wire.Ended) {
	for _, e := range ended {
		known := func(k wire.Ended) bool { return k.ID == e.ID }
		if n.own.members[e.ID] != nil || slices.ContainsFunc(n.own.ended, known) {
			continue
		}
		n.own.ended = append(n.own.ended, e)
		n.change()
	}
	n.own.ended = n.own.ended[max(0, len(n.own.ended)-wire.MaxEnded):]
}

// welcome tells a member all that is known.
func (n *Node) welcome(s *subject) {
	s.met = true
	if n.own.dirty {
		n.publish() // to it as well
		return
	}
	v := n.view.State(n.own.pushed)
	n.send(Peer{Member: s.record.ID}, wire.Message{Type: wire.ViewIs, Note: &wire.Note{View: &v}})
}

// ponged: who has not taken in the last view gets it again.
func (n *Node) ponged(by wire.MemberID, m wire.Message) {
	s := n.own.members[by]
	if s == nil {
		s = n.own.guests[by]
	}
	if s != nil && s.seen == m.Version && m.Version < n.own.pushed { // twice in a row
		n.welcome(s)
	}
	if s != nil {
		s.seen = m.Version
	}
}

// memberLeft takes out who says that it goes.
func (n *Node) memberLeft(by wire.MemberID, _ wire.Message) {
	delete(n.own.guests, by)
	if s := n.own.members[by]; s != nil && by != n.cfg.Me.ID {
		n.left[by] = true
		n.drop(s)
	}
}

// routeAsk passes a question of this host on: to the members here, and once to each other host that is concerned.
func (n *Node) routeAsk(by wire.MemberID, m wire.Message) {
	a := m.Note
	if a == nil || a.Ask == nil || m.Asker != by {
		n.count("bad")
		return
	}
	mine := n.cfg.Me.Host
	m.AskerHost = mine
	fresh := make(map[wire.HostID]bool)
	for _, id := range a.Ask.Fresh {
		fresh[id] = true
	}
	need := make(map[wire.HostID][]wire.Need)
	for _, one := range a.Ask.Need {
		need[one.Host] = append(need[one.Host], one)
	}
	var hosts []wire.HostID
	for _, h := range n.view.All() {
		if a.Ask.All && h.Reach.Verdict == "" {
			fresh[h.Host] = true
			hosts = append(hosts, h.Host)
		}
		if h.Host == mine || !fresh[h.Host] && len(need[h.Host]) == 0 {
			continue
		}
		on := wire.Ask{Need: need[h.Host], Labels: a.Ask.Labels}
		if fresh[h.Host] {
			on.Fresh = []wire.HostID{h.Host}
		}
		n.toHost(h.Host, wire.Message{Type: wire.AskAll, Asker: m.Asker, AskerHost: mine, Seq: m.Seq, Note: &wire.Note{Ask: &on}, Body: m.Body})
	}
	n.askHere(m, fresh[mine], need[mine], a.Ask.Labels, func(r *wire.Roster) {
		r.Hosts = hosts
		n.toMember(m.Asker, wire.Message{Type: wire.RosterIs, Asker: m.Asker, AskerHost: mine, Seq: m.Seq, Note: &wire.Note{Roster: r}})
	})
}

// askHere asks members of this host, and tells whom if the asker wants to know.
func (n *Node) askHere(m wire.Message, fresh bool, need []wire.Need, labels map[string]string, tell func(*wire.Roster)) {
	ask := wire.Message{Type: wire.AskAll, Asker: m.Asker, AskerHost: m.AskerHost, Seq: m.Seq, Body: m.Body}
	asked := make(map[wire.MemberID]bool)
	if fresh {
		if n.own.dirty {
			n.publish() // a roster is of a section that others can know
		}
		r := &wire.Roster{Host: n.cfg.Me.Host, Stamp: wire.Stamp{Term: n.own.term, Version: n.own.version}, Members: []wire.Member{}}
		for _, mem := range n.section().Members {
			if wire.Matches(mem.Labels, labels) {
				r.Members = append(r.Members, mem)
			}
		}
		tell(r)
		for _, mem := range r.Members {
			if mem.Verdict == "" {
				asked[mem.ID] = true
				n.toMember(mem.ID, ask)
			}
		}
	}
	for _, one := range need {
		s := n.own.members[one.Member]
		if s != nil && s.member.Verdict == "" && !asked[one.Member] {
			ask.Part = one.From
			n.toMember(one.Member, ask)
		}
	}
}

// routePart passes a piece of an answer on to its asker.
func (n *Node) routePart(by wire.MemberID, m wire.Message) {
	if m.From != by {
		n.count("bad")
		return
	}
	if m.AskerHost == n.cfg.Me.Host {
		n.toMember(m.Asker, m)
		return
	}
	n.toHost(m.AskerHost, m)
}

// routeDone tells everybody that ledgers of an asker are complete.
func (n *Node) routeDone(by wire.MemberID, m wire.Message) {
	if m.Asker != by {
		n.count("bad")
		return
	}
	m.From = 0
	for _, h := range n.view.All() {
		if h.Host != n.cfg.Me.Host && h.Reach.Verdict == "" {
			n.toHost(h.Host, m)
		}
	}
	n.doneHere(m)
}

func (n *Node) doneHere(m wire.Message) {
	m.From = 0
	for _, mem := range n.section().Members {
		if mem.ID != m.Asker {
			n.toMember(mem.ID, m)
		}
	}
	n.gotDone(m)
}
