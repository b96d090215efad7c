package machine

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
	"github.com/troupe-mq/troupe/supervision/why"
)

// link is a connection to another host's master, or to where one may be.
type link struct {
	id     LinkID
	dialed bool
	host   wire.HostID // 0: nobody has said hello yet
	term   uint64
	heard  time.Duration
	next   time.Duration // when to send a heartbeat
}

// LinkUp takes in that there is a connection. One that was dialled is tried for ever, so it is told of once.
func (n *Node) LinkUp(now time.Duration, id LinkID, dialed bool) []Effect {
	n.begin(now)
	if n.own != nil && n.own.links[id] == nil {
		l := &link{id: id, dialed: dialed, heard: n.now}
		n.own.links[id] = l
		if dialed {
			n.introduce(l, 0)
		}
	}
	return n.end()
}

// introduce says which host this is, and who is there.
func (n *Node) introduce(l *link, flags uint32) {
	s := n.section()
	n.send(Peer{Link: l.id}, wire.Message{Type: wire.Hello, Flags: flags, Note: &wire.Note{Section: &s}})
	l.next = n.now + n.cfg.Beat
}

// fromHost has what a master takes from other hosts' masters.
var fromHost map[wire.Type]func(*Node, *link, wire.Message)

func init() {
	fromHost = map[wire.Type]func(*Node, *link, wire.Message){
		wire.Hello: (*Node).met, wire.Ping: (*Node).pinged, wire.AskAll: (*Node).farAsk, wire.RosterIs: (*Node).farRoster, wire.Part: (*Node).farPart, wire.Done: (*Node).farDone,
	}
}

// receiveFar takes in what another host says, if it is that host's latest master that says so.
func (n *Node) receiveFar(id LinkID, m wire.Message) {
	h := fromHost[m.Type]
	if n.own == nil || h == nil || m.Host == n.cfg.Me.Host {
		n.count("stale")
		return
	}
	l := n.own.links[id]
	if l == nil { // an accepted one
		l = &link{id: id}
		n.own.links[id] = l
	}
	if known := n.view.Host(m.Host); known != nil && m.Term < known.Stamp.Term && !n.cfg.Faults.NoTermCheck {
		n.count("stale")
		return
	}
	if m.Type != wire.Hello && (l.host != m.Host || l.term != m.Term) && !n.cfg.Faults.NoTermCheck {
		n.count("stale") // it says hello first
		n.introduce(l, 0)
		return
	}
	if n.cfg.Heard != nil && (m.Type == wire.Hello || m.Type == wire.Ping) {
		n.cfg.Heard(m.Host, m.Term, m.From)
	}
	l.heard = n.now
	h(n, l, m)
	n.reached(m.Host)
}

// met takes in who is at the other end.
func (n *Node) met(l *link, m wire.Message) {
	s := m.Note.Section
	if s == nil || s.Host != m.Host || s.Stamp.Term != m.Term {
		n.count("bad")
		return
	}
	if l.dialed && l.host != 0 && l.host != m.Host {
		n.forget(l.host) // the machine was started again, or is another one
	}
	l.host, l.term = m.Host, m.Term
	if n.view.Merge(*s) {
		n.stir()
	}
	if m.Flags&wire.Reply == 0 {
		n.introduce(l, wire.Reply)
	}
}

func (n *Node) pinged(l *link, m wire.Message) {
	if known := n.view.Host(m.Host); known == nil || known.Stamp.Before(wire.Stamp{Term: m.Term, Version: m.Version}) {
		n.introduce(l, 0) // something was lost on the way
	}
}

// reached notes that a host is in reach.
func (n *Node) reached(id wire.HostID) {
	delete(n.own.lost, id)
	h := n.view.Host(id)
	if h == nil || h.Reach.Verdict == "" {
		return
	}
	n.record(why.Record{Verdict: "HEALTHY", Detector: "a message of its master", Measured: "the host is in reach again", Done: "it is asked again", Worker: h.Name, AtMS: n.now.Milliseconds()})
	n.view.Reach(id, wire.Reach{})
	n.stir()
}

// forget drops a host.
func (n *Node) forget(id wire.HostID) {
	n.view.Forget(id)
	delete(n.own.lost, id)
	n.stir()
}

// toHost sends over the link that was heard last.
func (n *Node) toHost(id wire.HostID, m wire.Message) {
	var best *link
	for _, l := range n.own.links {
		if l.host == id && (best == nil || l.heard > best.heard || l.heard == best.heard && l.id < best.id) {
			best = l
		}
	}
	if best == nil {
		n.count("unreachable")
		return
	}
	n.send(Peer{Link: best.id}, m)
}

// judgeHosts sends heartbeats, and gives verdicts on hosts of which no link brings anything.
func (n *Node) judgeHosts() {
	own := n.own
	heard := make(map[wire.HostID]bool)
	since := n.judge.Since()
	for _, id := range slices.Sorted(maps.Keys(own.links)) {
		l := own.links[id]
		if n.now >= l.next {
			n.beat(l)
		}
		switch silent := n.now - max(l.heard, since); {
		case l.host != 0 && silent < n.cfg.Silence:
			heard[l.host] = true
		case !l.dialed && silent >= n.cfg.Reach:
			delete(own.links, id)
		}
	}
	for _, h := range n.view.All() {
		if h.Host == n.cfg.Me.Host || heard[h.Host] {
			continue
		}
		n.judgeHost(h)
	}
}

func (n *Node) beat(l *link) {
	l.next = n.now + n.cfg.Beat
	if l.host != 0 && n.now-l.heard < n.cfg.Silence {
		n.send(Peer{Link: l.id}, wire.Message{Type: wire.Ping, Version: n.own.version})
	} else if l.dialed {
		n.introduce(l, 0) // whoever is there by now
	}
}

// judgeHost gives the verdict on a host that was not heard for Silence; it has until Reach to elect a new master.
func (n *Node) judgeHost(h *wire.Host) {
	since, known := n.own.lost[h.Host]
	if !known {
		n.own.lost[h.Host] = n.now
		return
	}
	silent := n.now - max(since, n.judge.Since())
	switch {
	case len(h.Members) == 0:
		n.forget(h.Host) // its last member has left
	case h.Reach.Verdict == "" && silent >= n.cfg.Reach-n.cfg.Silence:
		silent += n.cfg.Silence
		r := why.Record{Verdict: "FROZEN", Detector: "silence of all links", Measured: fmt.Sprintf("nothing of host %s for %v", h.Name, silent), Done: "nobody waits for its members", Knob: "--silence", Worker: h.Name, AtMS: n.now.Milliseconds()}
		r.Measure("silent", silent, n.cfg.Reach)
		n.record(r)
		n.view.Reach(h.Host, wire.Reach{Verdict: r.Verdict, Why: r.Measured})
		n.stir()
	case n.now-since >= n.cfg.Forget:
		n.forget(h.Host)
	}
}

// farAsk asks the members here a question of another host.
func (n *Node) farAsk(l *link, m wire.Message) {
	if m.Note == nil || m.Note.Ask == nil {
		n.count("bad")
		return
	}
	m.AskerHost = m.Host
	a := m.Note.Ask
	fresh := slices.Contains(a.Fresh, n.cfg.Me.Host)
	n.askHere(m, fresh, a.Need, a.Labels, func(r *wire.Roster) {
		n.send(Peer{Link: l.id}, wire.Message{Type: wire.RosterIs, Asker: m.Asker, AskerHost: m.Host, Seq: m.Seq, Note: &wire.Note{Roster: r}})
	})
}

// farRoster, farPart and farDone pass on what concerns members here.
func (n *Node) farRoster(_ *link, m wire.Message) {
	if m.Note.Roster.Host == m.Host {
		m.From = 0
		n.toMember(m.Asker, m)
	}
}

func (n *Node) farPart(_ *link, m wire.Message) { n.toMember(m.Asker, m) }

func (n *Node) farDone(_ *link, m wire.Message) {
	m.AskerHost = m.Host
	n.doneHere(m)
}
