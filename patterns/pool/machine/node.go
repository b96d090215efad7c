package machine

import (
	"time"

	"github.com/troupe-mq/troupe/patterns/pool/machine/election"
	"github.com/troupe-mq/troupe/patterns/pool/machine/ledger"
	"github.com/troupe-mq/troupe/patterns/pool/machine/view"
	"github.com/troupe-mq/troupe/patterns/pool/machine/vote"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
	"github.com/troupe-mq/troupe/supervision/liveness"
	"github.com/troupe-mq/troupe/supervision/why"
)

// Node is a member of a pool. It belongs to one goroutine. Times are those of its host's clock since its start, and never go back.
type Node struct {
	cfg   Config
	el    election.Machine
	doubt *vote.Doubt
	judge liveness.Judge
	view  view.View
	mem   ledger.Memory
	whys  *why.Store

	now time.Duration
	fx  []Effect

	master   wire.Record // who is followed
	welcomed bool        // it has told us its view
	seen     uint64      // that view's version
	hello    time.Duration
	rescan   time.Duration
	seeks    int           // scans that have found no master since there was one
	heard    time.Duration // the last sign of the master
	scanning bool

	own    *reign // of a master
	left   map[wire.MemberID]bool
	killed map[wire.MemberID]string // by whom it was decided, and how

	asks     map[uint64]*asking
	seq      uint64
	done     []uint64 // ledgers that are over, not told to all yet
	doneAt   time.Duration
	running  map[wire.QuestionID]wire.HostID // whose question it is, for answers
	counters map[string]uint64
	sent     wire.Tally
}

// New returns a Node that has not begun.
func New(cfg Config) *Node {
	return &Node{
		cfg: cfg, el: election.Machine{Me: cfg.Me.ID, Guest: cfg.Guest}, judge: liveness.NewJudge(cfg.Silence), whys: why.NewStore(cfg.MaxWhys),
		doubt: vote.New(vote.Config{Me: cfg.Me.ID, Limit: cfg.Silence, Window: cfg.Window, NoKill: cfg.Me.NoKill || cfg.Guest, Faults: cfg.Faults.Vote}),
		mem:   ledger.Memory{MaxBytes: cfg.MaxBytes, MaxKnown: cfg.MaxKnown, Forgetful: cfg.Faults.Forgetful},
		left:  make(map[wire.MemberID]bool), killed: make(map[wire.MemberID]string), asks: make(map[uint64]*asking), running: make(map[wire.QuestionID]wire.HostID), counters: make(map[string]uint64),
	}
}

// begin notes the time of a step.
func (n *Node) begin(now time.Duration) { n.now = max(n.now, now) }

// end returns what there is to do. The slice is the caller's until the next step.
func (n *Node) end() []Effect {
	fx := n.fx
	n.fx = nil
	return fx
}

func (n *Node) do(e Effect) { n.fx = append(n.fx, e) }

func (n *Node) count(what string) { n.counters[what]++ }

// Start begins: the Node looks for a master.
func (n *Node) Start(now time.Duration) []Effect {
	n.begin(now)
	n.elect(n.el.Start())
	return n.end()
}

// elect carries out what the election wants.
func (n *Node) elect(fx []election.Effect) {
	for _, e := range fx {
		switch e.Kind {
		case election.Scan:
			if n.el.State() == election.Seeking {
				n.unfollow()
			}
			n.scan()
		case election.Claim:
			n.do(claim{e.Term})
		case election.Follow:
			n.follow(e.Term, e.Master)
		case election.Lead:
			n.doubt.Rest()
			n.do(lead{e.Term})
		case election.Resign:
			n.abdicate()
			n.do(resign{e.Term})
		}
	}
}

func (n *Node) scan() {
	if !n.scanning {
		n.scanning = true
		n.rescan = 0
		n.do(scan{})
	}
}

// Scanned takes in what is in the run directory.
func (n *Node) Scanned(now time.Duration, s election.Seen) []Effect {
	n.begin(now)
	n.scanning = false
	n.elect(n.el.Scanned(s))
	if n.el.State() == election.Seeking {
		n.rescan = n.now + n.cfg.Beat>>max(0, 4-n.seeks) // members need milliseconds to elect another master
		n.seeks++
		n.unfollow()
	}
	return n.end()
}

// Claimed takes in whether a term is ours; then living are all members of the host whose locks are held.
func (n *Node) Claimed(now time.Duration, term uint64, ours bool, living []wire.Record) []Effect {
	n.begin(now)
	n.elect(n.el.Claimed(term, ours))
	if ours && n.el.State() == election.Leading {
		n.ascend(term, living)
	}
	return n.end()
}

// Ended takes in that a watched process, or its lock, is no more. All that it has sent was handed over before.
func (n *Node) Ended(now time.Duration, id wire.MemberID) []Effect {
	n.begin(now)
	if n.el.State() == election.Following && id == n.master.ID {
		n.elect(n.el.Ended(n.el.Term()))
	}
	if n.own != nil {
		n.bury(id)
	}
	return n.end()
}

// Leave ends the Node's part: what it was asked and has not answered stays unanswered.
func (n *Node) Leave(now time.Duration) []Effect {
	n.begin(now)
	for seq := range n.asks {
		n.expire(seq)
	}
	n.tellDone()
	switch n.el.State() {
	case election.Following:
		n.toMaster(wire.Message{Type: wire.Leave})
		n.el.Leave()
	case election.Leading:
		own := n.own
		n.el.Leave()
		n.own = nil
		n.farewell(own)
		n.do(resign{own.term}) // before others hear of it:
		for id, m := range own.members {
			if m.met && id != n.cfg.Me.ID {
				n.sendAs(own.term, Peer{Member: id}, wire.Message{Type: wire.Leave})
			}
		}
	case election.Seeking, election.Claiming, election.Off:
		n.el.Leave()
	}
	return n.end()
}

// farewell tells the other hosts, where nobody stays who could do so.
func (n *Node) farewell(own *reign) {
	if len(own.members) > 1 {
		return
	}
	s := wire.Section{
		Host: n.cfg.Me.Host, Name: n.cfg.Me.HostName, Stamp: wire.Stamp{Term: own.term, Version: own.version + 1}, Master: n.cfg.Me.ID, Members: []wire.Member{},
		Ended: append(own.ended, wire.Ended{Member: own.members[n.cfg.Me.ID].member, How: wire.HowLeft}),
	}
	for id, l := range own.links {
		if l.host != 0 {
			n.sendAs(own.term, Peer{Link: id}, wire.Message{Type: wire.Hello, Flags: wire.Reply, Note: &wire.Note{Section: &s}})
		}
	}
}

// send sends a message with the Node's own term.
func (n *Node) send(to Peer, m wire.Message) { n.sendAs(n.el.Term(), to, m) }

func (n *Node) sendAs(term uint64, to Peer, m wire.Message) {
	m.Term = term
	if m.From == 0 {
		m.From = n.cfg.Me.ID
	}
	m.Host = n.cfg.Me.Host
	n.sent.Add(m.Type)
	n.do(send{to, m})
}

// State returns where the Node stands, its term, and who is master.
func (n *Node) State() (election.State, uint64, wire.MemberID) {
	switch n.el.State() {
	case election.Leading:
		return election.Leading, n.el.Term(), n.cfg.Me.ID
	case election.Following:
		return election.Following, n.el.Term(), n.master.ID
	case election.Seeking, election.Claiming, election.Off:
	}
	return n.el.State(), n.el.Term(), 0
}

// Ready reports whether the Node knows its master's view: it can ask, and is asked.
func (n *Node) Ready() bool { return n.own != nil || n.welcomed }

// View returns what is known of all hosts.
func (n *Node) View() wire.View { return n.view.State(n.seen) }
