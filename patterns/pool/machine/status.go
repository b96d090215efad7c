package machine

import (
	"cmp"
	"maps"
	"slices"

	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
	"github.com/troupe-mq/troupe/supervision/why"
)

// Status returns what the Node knows, as guests are shown it.
func (n *Node) Status() wire.Status {
	state, term, master := n.State()
	s := wire.Status{
		Pool: n.cfg.Pool, ID: n.cfg.Me.ID, Name: n.cfg.Me.Name, PID: n.cfg.Me.PID, Host: n.cfg.Me.Host, HostName: n.cfg.Me.HostName, Role: state.String(), Term: term,
		Master: master, Running: n.mem.Running(), Asking: len(n.asks), Counters: maps.Clone(n.counters), View: n.view.State(n.seen),
		Whys: n.whys.Find(n.cfg.MaxWhys, func(*why.Record) bool { return true }),
	}
	n.sent.Into(s.Counters)
	for id, b := range n.doubt.Votes() {
		s.Votes = append(s.Votes, wire.Vote{Voter: id, Name: n.nameOf(id), Ballot: b})
	}
	slices.SortFunc(s.Votes, func(a, b wire.Vote) int { return cmp.Compare(a.Voter, b.Voter) })
	return s
}
