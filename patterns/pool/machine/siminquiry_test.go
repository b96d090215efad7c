package machine_test

import (
	"time"

	"github.com/troupe-mq/troupe/patterns/pool/machine"
	"github.com/troupe-mq/troupe/patterns/pool/machine/ledger"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
)

// inquiry is a question as its asker sees it.
type inquiry struct {
	w     *world
	by    *actor
	seq   uint64
	sel   ledger.Select
	at    time.Duration
	limit time.Duration
	over  bool
	text  map[wire.MemberID]string
}

// ask lets a process ask.
func (w *world) ask(by *actor, sel ledger.Select, limit time.Duration) {
	if !by.alive || by.fault != well {
		return
	}
	q := &inquiry{w: w, by: by, sel: sel, at: w.now, limit: limit, text: make(map[wire.MemberID]string)}
	by.step(func() []machine.Effect {
		seq, fx := by.node.Ask(w.now, sel, []byte("question"), limit)
		q.seq = seq
		w.asks = append(w.asks, q)
		return fx
	})
}

func (q *inquiry) delivered(book *ledger.Ledger, events []ledger.Event, done bool) {
	if q.over {
		q.w.wrong("%s is told of question %d after its end", q.by, q.seq)
	}
	for _, e := range events {
		q.text[e.Member] += string(e.Body)
	}
	if done {
		q.over = true
		q.check(book)
	}
}

// check compares a ledger that is over with what has happened.
func (q *inquiry) check(book *ledger.Ledger) {
	id := wire.QuestionID{Asker: q.by.id, Seq: q.seq}
	answered := 0
	for _, e := range book.Entries() {
		a := q.w.byID(e.Member.ID)
		switch e.State {
		case ledger.Waiting:
			if !book.Expired() {
				q.w.wrong("the ledger of %v is over without the end of %s", id, a)
			}
		case ledger.Answered:
			answered++
			if want := a.said[id]; q.text[a.id] != want {
				q.w.wrong("%s has answered %q to %v, its ledger has %q", a, want, id, q.text[a.id])
			}
		case ledger.Late:
			if a.asked[id] > 0 && q.w.trouble < q.at {
				q.w.wrong("%s was asked %v and is in its ledger as late", a, id)
			}
		case ledger.Failed, ledger.Left:
		case ledger.Lost:
			if e.Verdict == "" || e.Text == "" {
				q.w.wrong("%s is lost to %v without a reason", a, id)
			}
		}
	}
	if book.Expired() {
		if !q.by.leaving && (q.limit == 0 || q.w.now < q.at+q.limit) {
			q.w.wrong("the ledger of %v has ended early", id)
		}
		return
	}
	if q.sel.Any > 0 {
		return
	}
	if len(q.w.cut) > 0 {
		return
	}
	for _, h := range q.w.hosts {
		if m := q.w.leader(h); m == nil || m.fault != well {
			return // the way to somebody leads nowhere
		}
	}
	for _, a := range q.w.nodes {
		q.sound(book, a, id)
	}
}

// sound: who was well all the time, on a host that was in reach, has been asked.
func (q *inquiry) sound(book *ledger.Ledger, a *actor, id wire.QuestionID) {
	const margin = 5 * time.Second // what was before that has no consequences any more
	if a.guest || !a.alive || a.fault != well || a.hurt > q.at-margin || a.joined > q.at-margin || q.w.trouble > q.at-margin {
		return
	}
	if q.sel.Host != "" && q.sel.Host != a.record.HostName {
		return
	}
	if e, ok := book.Entry(a.id); !ok || e.State != ledger.Answered && e.State != ledger.Failed {
		q.w.wrong("%s was well all the time and has not answered %v: %+v", a, id, e)
	}
}
