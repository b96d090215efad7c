package machine

import (
	"slices"
	"time"

	"github.com/troupe-mq/troupe/patterns/pool/machine/ledger"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
)

// asking is an open question of this Node.
type asking struct {
	book  *ledger.Ledger
	body  []byte
	next  time.Duration // when to ask again for what is missing
	pause time.Duration
	until time.Duration // 0: for ever
}

// Ask begins a question and returns its number. The body is the Node's from here on. Limit ends the ledger early; 0: never.
func (n *Node) Ask(now time.Duration, sel ledger.Select, body []byte, limit time.Duration) (uint64, []Effect) {
	n.begin(now)
	n.seq++
	a := &asking{book: ledger.New(sel, &n.view, n.cfg.Rand), body: body}
	if limit > 0 {
		a.until = n.now + limit
	}
	n.asks[n.seq] = a
	seq := n.seq
	if stands, final := n.doubt.Frozen(); stands && final {
		a.book.Cut("FROZEN", "the way to it leads through the master "+n.master.Name+", which is hung and is not killed")
	}
	n.drive(seq, a)
	n.settle(seq, a)
	return seq, n.end()
}

// Expire ends a question before its ledger is complete.
func (n *Node) Expire(now time.Duration, seq uint64) []Effect {
	n.begin(now)
	n.expire(seq)
	return n.end()
}

func (n *Node) expire(seq uint64) {
	if a := n.asks[seq]; a != nil {
		a.book.Expire()
		n.settle(seq, a)
	}
}

// drive asks for all that is missing.
func (n *Node) drive(seq uint64, a *asking) {
	a.pause = min(max(2*a.pause, n.cfg.Redrive), 16*n.cfg.Redrive)
	a.next = n.now + a.pause
	for a.book.Look(&n.view); a.book.Short(); a.book.Look(&n.view) {
		continue // whom it asks in place of others may be lost as well
	}
	if ask, any := a.book.Ask(); any && n.Ready() {
		n.toMaster(wire.Message{Type: wire.AskAll, Asker: n.cfg.Me.ID, AskerHost: n.cfg.Me.Host, Seq: seq, Note: &wire.Note{Ask: &ask}, Body: a.body})
	}
}

// redriveAll asks a new master for all that is missing.
func (n *Node) redriveAll() {
	for _, seq := range n.open() {
		if a := n.asks[seq]; a != nil {
			a.pause = 0
			n.drive(seq, a)
			n.settle(seq, a)
		}
	}
}

func (n *Node) open() []uint64 {
	all := make([]uint64, 0, len(n.asks))
	for seq := range n.asks {
		all = append(all, seq)
	}
	slices.Sort(all)
	return all
}

// settle tells the asker what has happened, and ends the question when its ledger is complete.
func (n *Node) settle(seq uint64, a *asking) {
	if n.asks[seq] != a {
		return
	}
	over := a.book.Complete()
	if events := a.book.Events(); len(events) > 0 || over {
		n.do(deliver{seq, a.book, events, over})
	}
	if !over {
		return
	}
	delete(n.asks, seq)
	if len(n.done) == 0 {
		n.doneAt = n.now + n.cfg.Redrive/4
	}
	n.done = append(n.done, seq)
}

func (n *Node) gotRoster(m wire.Message) {
	a := n.asks[m.Seq]
	if a == nil || m.Asker != n.cfg.Me.ID {
		return
	}
	a.book.Roster(m.Note.Roster, n.cfg.Me.Host, &n.view)
	n.settle(m.Seq, a)
}

func (n *Node) gotPart(m wire.Message) {
	a := n.asks[m.Seq]
	if a == nil || m.Asker != n.cfg.Me.ID || !a.book.Part(m.Origin, m.From, m.Part, m.Flags, m.Body) {
		n.count("late")
		return
	}
	if a.book.Short() {
		n.drive(m.Seq, a)
	}
	n.settle(m.Seq, a)
}

// look takes the view into all ledgers.
func (n *Node) look() {
	for _, seq := range n.open() {
		a := n.asks[seq]
		if a == nil {
			continue
		}
		a.book.Look(&n.view)
		if a.book.Short() {
			n.drive(seq, a)
		}
		n.settle(seq, a)
	}
}

// tellDone tells everybody which ledgers are over.
func (n *Node) tellDone() {
	if len(n.done) == 0 || !n.Ready() {
		return
	}
	for _, seq := range n.done {
		n.close(wire.QuestionID{Asker: n.cfg.Me.ID, Seq: seq})
	}
	n.toMaster(wire.Message{Type: wire.Done, Asker: n.cfg.Me.ID, AskerHost: n.cfg.Me.Host, Note: &wire.Note{Done: n.done}})
	n.done, n.doneAt = nil, 0
}

// NextAsk returns the number that the next Ask will have.
func (n *Node) NextAsk() uint64 { return n.seq + 1 }
