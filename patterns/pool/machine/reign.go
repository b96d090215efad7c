package machine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
	"github.com/troupe-mq/troupe/supervision/liveness"
	"github.com/troupe-mq/troupe/supervision/why"
)

// reign is what a master keeps: who is there. It keeps nothing of questions.
type reign struct {
	term    uint64
	version uint64 // of the own section
	pushed  uint64 // of the view that members were told
	members map[wire.MemberID]*subject
	guests  map[wire.MemberID]*subject
	ended   []wire.Ended
	links   map[LinkID]*link
	lost    map[wire.HostID]time.Duration // since when a host has no link
	dirty   bool                          // the own section has changed
	push    time.Duration                 // when to tell the members, 0: nothing to tell
	thaw    time.Duration                 // when to look at links and frozen members next
	check   time.Duration                 // when to look at the run directory next
}

// subject is a member of the own host.
type subject struct {
	record wire.Record
	met    bool // it has said hello in this term
	peer   liveness.Peer
	seen   uint64
	member wire.Member
}

// coalesce is how long news wait for more of them.
const coalesce = 2 * time.Millisecond

// ascend begins to be master: of all whose locks are held, be they connected yet or not.
func (n *Node) ascend(term uint64, living []wire.Record) {
	n.own = &reign{
		term: term, members: make(map[wire.MemberID]*subject), guests: make(map[wire.MemberID]*subject), links: make(map[LinkID]*link), lost: make(map[wire.HostID]time.Duration),
	}
	n.welcomed, n.hello = true, 0
	n.enroll(n.cfg.Me)
	for _, r := range living {
		if !n.left[r.ID] { // it may hold its lock for a moment more
			n.enroll(r)
		}
	}
	if before := n.view.Host(n.cfg.Me.Host); before != nil {
		n.own.ended = slices.Clone(before.Ended)
		for _, m := range before.Members {
			if n.own.members[m.ID] == nil {
				n.note(m)
			}
		}
	}
	for _, h := range n.view.All() {
		if h.Host != n.cfg.Me.Host {
			n.own.lost[h.Host] = n.now
		}
	}
	n.publish()
	n.redriveAll()
	n.do(changed{})
}

// enroll takes a member into the books.
func (n *Node) enroll(r wire.Record) *subject {
	if s := n.own.members[r.ID]; s != nil {
		return s
	}
	s := &subject{record: r, member: wire.Member{ID: r.ID, Name: r.Name, PID: r.PID, Labels: r.Labels}}
	n.own.members[r.ID] = s
	n.change()
	if r.ID == n.cfg.Me.ID {
		return s
	}
	s.peer = liveness.Peer{Silence: n.cfg.Silence, Beat: n.cfg.Beat}
	s.peer.Step(n.now, liveness.Event{What: liveness.Met}, nil)
	n.do(watch{r})
	return s
}

// change notes that the own section has changed.
func (n *Node) change() {
	n.own.dirty = true
	n.stir()
}

// stir notes that members have to be told something.
func (n *Node) stir() {
	if n.own.push == 0 {
		n.own.push = n.now + coalesce
	}
}

// bury takes out a member whose process is gone.
func (n *Node) bury(id wire.MemberID) {
	if s := n.own.members[id]; s != nil && id != n.cfg.Me.ID {
		n.drop(s)
	}
	delete(n.own.guests, id)
}

func (n *Node) drop(s *subject) {
	delete(n.own.members, s.record.ID)
	n.do(unwatch{s.record.ID})
	n.note(s.member)
	n.change()
}

// note writes down how a member has ended.
func (n *Node) note(m wire.Member) {
	e := n.ending(m)
	n.own.ended = append(n.own.ended, e)
	n.own.ended = n.own.ended[max(0, len(n.own.ended)-wire.MaxEnded):]
	if e.How != wire.HowLeft {
		n.record(why.Record{Verdict: e.How, Detector: "its process handle and its lock", Measured: e.Why, Done: "the members of all hosts are told", Worker: m.Name, AtMS: n.now.Milliseconds()})
	}
}

// ending says how a member has ended.
func (n *Node) ending(m wire.Member) wire.Ended {
	e := wire.Ended{Member: m, How: wire.HowGone}
	e.Verdict, e.Why = "", fmt.Sprintf("process %d has ended", m.PID)
	if n.left[m.ID] {
		e.How, e.Why = wire.HowLeft, "it said so"
	}
	if text := n.killed[m.ID]; text != "" {
		e.How, e.Why = wire.HowKilled, text
	}
	return e
}

// publish makes the next state of the own section, and tells it to members and hosts.
func (n *Node) publish() {
	own := n.own
	own.push = 0
	if own.dirty || own.version == 0 {
		own.dirty = false
		own.version++
		s := n.section()
		n.view.Merge(s)
		for _, id := range slices.Sorted(maps.Keys(own.links)) {
			n.introduce(own.links[id], wire.Reply)
		}
	}
	own.pushed++
	n.seen = own.pushed
	v := n.view.State(own.pushed)
	for _, all := range []map[wire.MemberID]*subject{own.members, own.guests} {
		for _, id := range slices.Sorted(maps.Keys(all)) {
			if all[id].met {
				n.send(Peer{Member: id}, wire.Message{Type: wire.ViewIs, Note: &wire.Note{View: &v}})
			}
		}
	}
	n.prune()
	n.look()
	n.do(changed{})
}

// section is the own host as others are told of it.
func (n *Node) section() wire.Section {
	s := wire.Section{
		Host: n.cfg.Me.Host, Name: n.cfg.Me.HostName, Stamp: wire.Stamp{Term: n.own.term, Version: n.own.version}, Master: n.cfg.Me.ID, Members: []wire.Member{},
		Ended: slices.Clone(n.own.ended),
	}
	for _, m := range n.own.members {
		s.Members = append(s.Members, m.member)
	}
	slices.SortFunc(s.Members, func(a, b wire.Member) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return s
}

// abdicate stops being master.
func (n *Node) abdicate() {
	if n.own == nil {
		return
	}
	for id := range n.own.members {
		if id != n.cfg.Me.ID {
			n.do(unwatch{id})
		}
	}
	n.own, n.welcomed = nil, false
}

// judgeMember carries out what the judge of a member wants.
func (n *Node) judgeMember(s *subject, fx []liveness.Effect) {
	for _, e := range fx {
		switch e.Kind {
		case liveness.Beat:
			if s.met {
				n.send(Peer{Member: s.record.ID}, wire.Message{Type: wire.Ping, Version: n.own.pushed})
			}
			s.peer.Step(n.now, liveness.Event{What: liveness.BeatSent}, nil)
		case liveness.Look:
			silent := n.now - s.peer.Heard()
			n.judgeMember(s, s.peer.Step(n.now, liveness.Event{What: liveness.Sounded, Silent: silent, Known: true, Since: n.judge.Since()}, nil))
		case liveness.Tell:
			n.tellMember(s, e)
		}
	}
}

func (n *Node) tellMember(s *subject, e liveness.Effect) {
	r := why.Record{Verdict: e.Verdict.String(), Detector: "silence of its loop", Worker: s.record.Name, Knob: "--silence", AtMS: n.now.Milliseconds()}
	r.Measure("silent", e.Measured, e.Limit)
	s.member.Verdict, s.member.Why = "", ""
	r.Measured, r.Done = fmt.Sprintf("process %d is heard again after %v", s.record.PID, e.Measured), "it is asked again"
	if e.Verdict == liveness.Frozen {
		r.Measured, r.Done = fmt.Sprintf("nothing of process %d for %v", s.record.PID, e.Measured), "nobody waits for its answers"
		s.member.Verdict, s.member.Why = r.Verdict, r.Measured
	}
	n.record(r)
	if _, guest := n.own.guests[s.record.ID]; guest {
		if e.Verdict == liveness.Frozen {
			delete(n.own.guests, s.record.ID)
		}
		return
	}
	n.change()
}
