// Package ledger keeps the books of a question: who was asked, and what became of each. The asker has the ledger, members have a memory of what they answered, and masters have
// neither: so a new master loses nothing, and nobody is asked twice. It is pure.
package ledger

import (
	"cmp"
	"slices"

	"github.com/troupe-mq/troupe/patterns/pool/machine/view"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
)

// State says what became of a member's answer.
type State uint8

// The states of an entry.
const (
	Waiting  State = iota // it was asked, or will be
	Answered              // its whole answer is here
	Failed                // it said that it could not answer
	Lost                  // a verdict on it, its master or its host; whether it has done what was asked is unknown
	Left                  // it has left the pool
	Late                  // it joined after the question was asked, and was not asked
)

var names = [...]string{"waiting", "answered", "failed", "lost", "left", "late"}

// String returns the state in one word.
func (s State) String() string { return names[s] }

// Entry is a member's line in the ledger.
type Entry struct {
	Host    wire.HostID
	Member  wire.Member
	State   State
	Parts   uint32 // of its answer that are here
	Verdict string // with Lost: GONE, FROZEN, KILLED
	Text    string // with Failed its error, with Lost why
	asOf    wire.Stamp
}

// Event is something that the asker is told.
type Event struct {
	Member wire.MemberID
	Part   uint32
	Body   []byte // of a part
	Ended  bool   // the member's entry has got its final state
}

// Select says who is asked. The zero value means everybody.
type Select struct {
	Host   string            // the name or id of one host
	Labels map[string]string // members that have all of them
	Any    int               // so many of them, at random; another one in place of one that fails
}

// Ledger is the book of one question. Make it by New.
type Ledger struct {
	sel     Select
	entries map[wire.MemberID]*Entry
	hosts   map[wire.HostID]bool // whether its roster is known, or it is lost
	spare   []*Entry             // for Any: who may be asked in place of others
	all     bool                 // the own master has not said yet which hosts it has asked
	ended   bool
	expired bool
	events  []Event
	short   bool // there is somebody new to ask
}

// New begins a ledger with everybody whom the view has. Shuffle is used for Any only: a source of numbers below n.
func New(sel Select, v *view.View, shuffle func(n int) int) *Ledger {
	l := &Ledger{sel: sel, entries: make(map[wire.MemberID]*Entry), hosts: make(map[wire.HostID]bool), all: sel.Host == "" && sel.Any == 0}
	for _, h := range v.All() {
		if !l.wantsHost(h) {
			continue
		}
		l.hosts[h.Host] = h.Reach.Verdict != "" || sel.Any > 0
		for _, m := range h.Members {
			if wire.Matches(m.Labels, sel.Labels) {
				l.enter(h, m, shuffle)
			}
		}
	}
	l.fill()
	l.Look(v)
	l.short = false
	return l
}

func (l *Ledger) wantsHost(h *wire.Host) bool {
	return l.sel.Host == "" || l.sel.Host == h.Name || l.sel.Host == h.Host.String()
}

func (l *Ledger) enter(h *wire.Host, m wire.Member, shuffle func(int) int) {
	e := &Entry{Host: h.Host, Member: m, asOf: h.Stamp}
	if l.sel.Any == 0 {
		l.entries[m.ID] = e
		return
	}
	if h.Reach.Verdict != "" || m.Verdict != "" {
		return
	}
	at := shuffle(len(l.spare) + 1)
	l.spare = slices.Insert(l.spare, at, e)
}

// fill asks further ones where Any wants more answers than can still come.
func (l *Ledger) fill() {
	hope := 0
	for _, e := range l.entries {
		if e.State == Waiting || e.State == Answered {
			hope++
		}
	}
	for hope < l.sel.Any && len(l.spare) > 0 {
		e := l.spare[0]
		l.spare = l.spare[1:]
		l.entries[e.Member.ID] = e
		l.short = true
		hope++
	}
}

// Short reports, once, that there is somebody to be asked who was not before.
func (l *Ledger) Short() bool {
	was := l.short && !l.ended
	l.short = false
	return was
}

// Ask returns who is to be asked for what is missing; false if there is nobody.
func (l *Ledger) Ask() (wire.Ask, bool) {
	a := wire.Ask{All: l.all, Labels: l.sel.Labels}
	for id, known := range l.hosts {
		if !known {
			a.Fresh = append(a.Fresh, id)
		}
	}
	slices.Sort(a.Fresh)
	for _, e := range l.entries {
		if e.State == Waiting && l.hosts[e.Host] {
			a.Need = append(a.Need, wire.Need{Host: e.Host, Member: e.Member.ID, From: e.Parts})
		}
	}
	slices.SortFunc(a.Need, func(a, b wire.Need) int { return cmp.Compare(a.Member, b.Member) })
	return a, a.All || len(a.Fresh) > 0 || len(a.Need) > 0
}

// Roster takes in whom a master has asked.
func (l *Ledger) Roster(r *wire.Roster, own wire.HostID, v *view.View) {
	if l.ended || l.sel.Any > 0 {
		return
	}
	known, asked := l.hosts[r.Host]
	if !known && !asked && !l.all && r.Host != own {
		return // nobody wanted it to be asked
	}
	l.hosts[r.Host] = true
	l.asked(r, !known)
	// Who was known before and is not on the roster had ended by then.
	for _, e := range l.entries {
		if e.Host == r.Host && e.asOf.Before(r.Stamp) {
			e.asOf = r.Stamp
		}
	}
	if r.Host == own && l.all {
		l.all = false
		for _, id := range r.Hosts {
			if _, known := l.hosts[id]; !known {
				l.hosts[id] = false // it was asked along with the others
			}
		}
	}
	l.Look(v)
}

// asked notes the members that were asked; fresh says that nobody of their host was known.
func (l *Ledger) asked(r *wire.Roster, fresh bool) {
	for _, m := range r.Members {
		if e := l.entries[m.ID]; e == nil && fresh {
			l.entries[m.ID] = &Entry{Host: r.Host, Member: m, asOf: r.Stamp}
		} else if e != nil && e.State == Late {
			e.State, e.asOf = Waiting, r.Stamp
		}
	}
}

// Part takes in a piece of an answer and reports whether it was the next one.
func (l *Ledger) Part(host wire.HostID, from wire.MemberID, part uint32, flags uint32, body []byte) bool {
	e := l.entries[from]
	if e == nil && !l.ended && l.sel.Any == 0 {
		e = &Entry{Host: host, Member: wire.Member{ID: from}} // its roster is on its way
		l.entries[from] = e
	}
	if l.ended || e == nil || e.State != Waiting && e.State != Late || part != e.Parts {
		return false
	}
	e.State = Waiting
	switch {
	case flags&wire.Failed != 0:
		l.end(e, Failed, "", string(body))
	case flags&wire.Last != 0 && len(body) == 0:
		l.end(e, Answered, "", "")
	default:
		e.Parts++
		l.events = append(l.events, Event{Member: from, Part: part, Body: body})
		if flags&wire.Last != 0 {
			l.end(e, Answered, "", "")
		}
	}
	return true
}

func (l *Ledger) end(e *Entry, s State, verdict, text string) {
	e.State, e.Verdict, e.Text = s, verdict, text
	l.events = append(l.events, Event{Member: e.Member.ID, Ended: true})
	l.fill()
}

// Look takes in a view: who is lost, who has left, who has come.
func (l *Ledger) Look(v *view.View) {
	if l.ended {
		return
	}
	for id, known := range l.hosts {
		if h := v.Host(id); !known && (h == nil || h.Reach.Verdict != "") {
			l.hosts[id] = true
		}
	}
	for _, e := range l.sorted() {
		if e.State != Waiting || !l.hosts[e.Host] {
			continue
		}
		f := v.Fate(e.Host, e.Member.ID, e.asOf)
		switch {
		case !f.Known || f.Living && f.Verdict == "":
		case f.Verdict == wire.HowLeft:
			l.end(e, Left, "", f.Why)
		default:
			l.end(e, Lost, f.Verdict, f.Why)
		}
	}
	l.name(v)
	l.late(v)
}

// name completes entries that came by a part first.
func (l *Ledger) name(v *view.View) {
	for _, e := range l.entries {
		if h := v.Host(e.Host); h != nil && e.Member.PID == 0 {
			if i := slices.IndexFunc(h.Members, func(m wire.Member) bool { return m.ID == e.Member.ID }); i >= 0 {
				e.Member = h.Members[i]
			}
		}
	}
}

// late notes who has joined since.
func (l *Ledger) late(v *view.View) {
	if l.sel.Any > 0 {
		return
	}
	for _, h := range v.All() {
		known, asked := l.hosts[h.Host]
		if !l.wantsHost(h) || asked && !known || !asked && l.all {
			continue // its roster will tell
		}
		for _, m := range h.Members {
			if l.entries[m.ID] == nil && wire.Matches(m.Labels, l.sel.Labels) {
				l.entries[m.ID] = &Entry{Host: h.Host, Member: m, State: Late}
			}
		}
	}
}

// Cut ends all that waits with a verdict: the asker's own way to the others is lost for good.
func (l *Ledger) Cut(verdict, text string) {
	if l.ended {
		return
	}
	l.all = false
	for id := range l.hosts {
		l.hosts[id] = true
	}
	for _, e := range l.sorted() {
		if e.State == Waiting {
			l.end(e, Lost, verdict, text)
		}
	}
	l.spare = nil
}

// Expire ends the ledger before it is complete: what waits stays so.
func (l *Ledger) Expire() {
	if !l.ended {
		l.ended, l.expired = true, !l.whole()
	}
}

// Expired reports whether the ledger was ended before it was complete.
func (l *Ledger) Expired() bool { return l.expired }

// Complete reports whether every member has its final state. It never becomes false again.
func (l *Ledger) Complete() bool {
	if !l.ended && l.whole() {
		l.ended = true
	}
	return l.ended
}

func (l *Ledger) whole() bool {
	if l.all {
		return false
	}
	for _, known := range l.hosts {
		if !known {
			return false
		}
	}
	for _, e := range l.entries {
		if e.State == Waiting {
			return false
		}
	}
	return true
}

// Events returns what has happened since the last call.
func (l *Ledger) Events() []Event {
	all := l.events
	l.events = nil
	return all
}

// Entry returns a member's line.
func (l *Ledger) Entry(id wire.MemberID) (Entry, bool) {
	if e := l.entries[id]; e != nil {
		return *e, true
	}
	return Entry{}, false
}

// Entries returns all lines by host, name and id.
func (l *Ledger) Entries() []Entry {
	sorted := l.sorted()
	all := make([]Entry, len(sorted))
	for i, e := range sorted {
		all[i] = *e
	}
	return all
}

func (l *Ledger) sorted() []*Entry {
	all := make([]*Entry, 0, len(l.entries))
	for _, e := range l.entries {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *Entry) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Member.Name, b.Member.Name), cmp.Compare(a.Member.ID, b.Member.ID))
	})
	return all
}
