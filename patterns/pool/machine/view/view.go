// Package view merges what masters say of their hosts. Each host's section has one writer per term, so of two states the later stamp is right, and views that have heard the
// same agree, in whatever order they heard it: a join-semilattice (Shapiro et al., "Conflict-free Replicated Data Types", 2011). It is pure.
package view

import (
	"cmp"
	"slices"

	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
)

// View is what is known of all hosts. The zero value knows none.
type View struct {
	hosts map[wire.HostID]*wire.Host
}

// Merge takes in a section and reports whether it was news.
func (v *View) Merge(s wire.Section) bool {
	if h := v.hosts[s.Host]; h != nil {
		if !h.Stamp.Before(s.Stamp) {
			return false
		}
		h.Section = s
		return true
	}
	if v.hosts == nil {
		v.hosts = make(map[wire.HostID]*wire.Host)
	}
	v.hosts[s.Host] = &wire.Host{Section: s}
	return true
}

// Reach notes how a host can be reached and reports whether that was news.
func (v *View) Reach(id wire.HostID, r wire.Reach) bool {
	h := v.hosts[id]
	if h == nil || h.Reach == r {
		return false
	}
	h.Reach = r
	return true
}

// Forget drops a host.
func (v *View) Forget(id wire.HostID) { delete(v.hosts, id) }

// Take takes in what the own master says. Sections merge; the ways to the hosts are the master's to know, and hosts that it does not name are forgotten.
func (v *View) Take(w *wire.View) {
	named := make(map[wire.HostID]bool, len(w.Hosts))
	for _, h := range w.Hosts {
		named[h.Host] = true
		v.Merge(h.Section)
		v.Reach(h.Host, h.Reach)
	}
	for id := range v.hosts {
		if !named[id] {
			delete(v.hosts, id)
		}
	}
}

// Host returns what is known of a host, nil if nothing is. It is the view's.
func (v *View) Host(id wire.HostID) *wire.Host { return v.hosts[id] }

// All returns all hosts by name and id. They are the view's.
func (v *View) All() []*wire.Host {
	all := make([]*wire.Host, 0, len(v.hosts))
	for _, h := range v.hosts {
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b *wire.Host) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Host, b.Host)) })
	return all
}

// State returns the view as a message says it.
func (v *View) State(version uint64) wire.View {
	w := wire.View{Version: version}
	for _, h := range v.All() {
		w.Hosts = append(w.Hosts, *h)
	}
	return w
}

// Fate is what a view tells of a member.
type Fate struct {
	Known   bool // the view is as late as the question for it
	Living  bool
	Verdict string // FROZEN, GONE, KILLED, LEFT; or the host's
	Why     string
}

// Fate says what became of a member of a host that was known at a stamp. A view that is older than that knows nothing.
func (v *View) Fate(host wire.HostID, id wire.MemberID, asOf wire.Stamp) Fate {
	h := v.hosts[host]
	switch {
	case h == nil:
		return Fate{Known: true, Verdict: wire.HowGone, Why: "its host is known to nobody any more"}
	case h.Reach.Verdict != "":
		return Fate{Known: true, Verdict: h.Reach.Verdict, Why: "its host " + h.Name + " is beyond reach: " + h.Reach.Why}
	case h.Stamp.Before(asOf):
		return Fate{}
	}
	for i := range h.Members {
		if m := &h.Members[i]; m.ID == id {
			return Fate{Known: true, Living: true, Verdict: m.Verdict, Why: m.Why}
		}
	}
	for i := range h.Ended {
		if e := &h.Ended[i]; e.ID == id {
			return Fate{Known: true, Verdict: e.How, Why: e.Why}
		}
	}
	return Fate{Known: true, Verdict: wire.HowGone, Why: "the master of its host does not know it any more"}
}
