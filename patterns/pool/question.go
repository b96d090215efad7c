package pool

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/patterns/pool/machine"
	"github.com/troupe-mq/troupe/patterns/pool/machine/ledger"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
)

// Options says who is asked, and for how long. The zero value asks everybody and waits until the ledger is complete.
type Options struct {
	Host     string            // the name or id of one host
	Labels   map[string]string // members that have all of them
	Any      int               // so many members, at random; another one in place of each that fails
	Deadline time.Duration     // after it the ledger is ended early, and says so; 0: never
}

// Answer is a part of a member's answer.
type Answer struct {
	Member   string // its name
	ID       string
	HostName string
	Part     int    // counted from 0
	Body     []byte // of this part; the bytes are the receiver's
	End      bool   // the member has answered; Body is empty
}

// Entry is a member's line in a ledger.
type Entry struct {
	Host     string            `json:"host"` // its id
	HostName string            `json:"host_name"`
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	PID      int               `json:"pid"`
	Labels   map[string]string `json:"labels,omitempty"`
	State    string            `json:"state"` // answered, failed, lost, left, late; waiting, where the ledger was ended early
	Parts    int               `json:"parts"`
	Verdict  string            `json:"verdict,omitempty"` // with lost: GONE, FROZEN, KILLED
	Why      string            `json:"why,omitempty"`
}

// Ledger is what became of a question.
type Ledger struct {
	Complete bool    `json:"complete"` // every member has its end
	Entries  []Entry `json:"members"`  // by host, name and id
}

// Count returns how many entries have a state.
func (l Ledger) Count(state string) int {
	n := 0
	for _, e := range l.Entries {
		if e.State == state {
			n++
		}
	}
	return n
}

// Question is a question that was asked. Its methods are safe for concurrent use; answers are handed out once.
type Question struct {
	mu     sync.Mutex
	more   chan struct{} // holds one token when there is something new
	events []event
	over   chan struct{}
	book   Ledger
	err    error
	stop   func() bool
	cancel context.CancelFunc
}

type event struct {
	answer Answer
	err    error
}

// Ask asks. It returns at once; Answers and Ledger wait. The body is copied. When ctx ends before the ledger is complete, the ledger is ended early. Errors of the
// question itself come with Answers and Ledger: ErrClosed, ErrNoHost.
func (m *Member) Ask(ctx context.Context, body []byte, o Options) *Question {
	q := &Question{more: make(chan struct{}, 1), over: make(chan struct{})}
	ctx, q.cancel = context.WithCancel(ctx)
	b := append([]byte(nil), body...)
	sel := ledger.Select{Host: o.Host, Labels: o.Labels, Any: o.Any}
	asked := m.do(func() {
		if o.Host != "" && !m.loop.hasHost(o.Host) {
			q.end(nil, fmt.Errorf("pool: %q: %w: `troupe pool members %s` lists them", o.Host, ErrNoHost, m.cfg.Pool))
			return
		}
		seq := m.loop.node.NextAsk()
		m.loop.questions[seq] = q
		q.stop = context.AfterFunc(ctx, func() { m.do(func() { m.loop.apply(m.loop.node.Expire(m.loop.now(), seq)) }) })
		_, fx := m.loop.node.Ask(m.loop.now(), sel, b, o.Deadline)
		m.loop.apply(fx)
	})
	if !asked {
		q.end(nil, fmt.Errorf("pool: %w", ErrClosed))
	}
	return q
}

func (l *loop) hasHost(name string) bool {
	for _, h := range l.node.View().Hosts {
		if h.Name == name || h.Host.String() == name {
			return true
		}
	}
	return false
}

// Deliver tells a question what has happened.
func (l *loop) Deliver(seq uint64, book *ledger.Ledger, events []ledger.Event, done bool) {
	q := l.questions[seq]
	if q == nil {
		return
	}
	names := l.hostNames()
	q.mu.Lock()
	for _, e := range events {
		entry, _ := book.Entry(e.Member)
		q.events = append(q.events, eventOf(e, show(entry, names)))
	}
	q.mu.Unlock()
	if done {
		delete(l.questions, seq)
		whole := &Ledger{Complete: !book.Expired()}
		for _, e := range book.Entries() {
			whole.Entries = append(whole.Entries, show(e, names))
		}
		q.end(whole, nil)
	}
	q.wake()
}

func (l *loop) hostNames() map[wire.HostID]string {
	names := make(map[wire.HostID]string)
	for _, h := range l.node.View().Hosts {
		names[h.Host] = h.Name
	}
	return names
}

func show(e ledger.Entry, names map[wire.HostID]string) Entry {
	return Entry{
		Host: e.Host.String(), HostName: names[e.Host], ID: e.Member.ID.String(), Name: e.Member.Name, PID: e.Member.PID, Labels: e.Member.Labels, State: e.State.String(),
		Parts: int(e.Parts), Verdict: e.Verdict, Why: e.Text,
	}
}

func eventOf(e ledger.Event, entry Entry) event {
	ev := event{answer: Answer{Member: entry.Name, ID: entry.ID, HostName: entry.HostName, Part: int(e.Part), Body: e.Body, End: e.Ended}}
	kinds := map[string]error{ledger.Failed.String(): ErrFailed, ledger.Lost.String(): ErrLost, ledger.Left.String(): ErrLeft}
	if kind := kinds[entry.State]; e.Ended && kind != nil {
		ev.err = &MemberError{entry, kind}
	}
	return ev
}

func (q *Question) wake() {
	select {
	case q.more <- struct{}{}:
	default:
	}
}

// end ends the question, once.
func (q *Question) end(book *Ledger, err error) {
	select {
	case <-q.over:
		return
	default:
	}
	if book != nil {
		q.book = *book
		if !book.Complete {
			err = fmt.Errorf("pool: %w: %d of %d members have not answered: allow more time, or see `troupe pool why`", ErrEarly, book.Count("waiting"), len(book.Entries))
		}
	}
	q.err = err
	if q.stop != nil {
		q.stop()
	}
	close(q.over)
	q.cancel()
	q.wake()
}

// Answers yields the parts of answers as they come, from all members side by side, those of one member in order; then, for each member, its end: an Answer with End, or a *MemberError with the
// Answer that says whose. It ends with the ledger, with ErrEarly if that was ended early. Whoever breaks off ends the question.
func (q *Question) Answers() iter.Seq2[Answer, error] {
	return func(yield func(Answer, error) bool) {
		for {
			over := false
			select {
			case <-q.more:
			case <-q.over:
				over = true
			}
			q.mu.Lock()
			events := q.events
			q.events = nil
			q.mu.Unlock()
			for _, e := range events {
				if !yield(e.answer, e.err) {
					q.cancel()
					return
				}
			}
			if over {
				if q.err != nil {
					yield(Answer{}, q.err)
				}
				return
			}
		}
	}
}

// Ledger waits for the end of the question and returns what became of each member. The error is ErrEarly, with the ledger as far as it came, or ErrClosed, ErrNoHost.
func (q *Question) Ledger() (Ledger, error) {
	<-q.over
	return q.book, q.err
}

// Collect waits for the end and returns the answers, each in one piece, by the member's id, with the ledger.
func (q *Question) Collect() (map[string][]byte, Ledger, error) {
	all := make(map[string][]byte)
	for a, err := range q.Answers() {
		if err == nil {
			all[a.ID] = append(all[a.ID], a.Body...)
		}
	}
	book, err := q.Ledger()
	for _, e := range book.Entries {
		if e.State != ledger.Answered.String() {
			delete(all, e.ID)
		}
	}
	return all, book, err
}

var errNoAnswer = errors.New("it did not answer in time")

// Survey asks every living member of this host, past the master, what it knows: also while the master hangs. Who has not answered when ctx ends is left out, and the error says who.
func (m *Member) Survey(ctx context.Context) ([]wire.Status, error) {
	living := m.dir.living()
	got := make(chan wire.Status, len(living))
	var all []wire.Status
	open := make(map[wire.MemberID]string)
	if err := m.call(ctx, func() {
		for _, r := range living {
			if r.ID == m.me.ID {
				got <- m.loop.node.Status()
				continue
			}
			m.loop.reports[r.ID] = func(s wire.Status) {
				select {
				case got <- s:
				default:
				}
			}
			m.loop.Send(machine.Peer{Member: r.ID}, wire.Message{Type: wire.Query, From: m.me.ID, Host: m.me.Host})
		}
	}); err != nil {
		return nil, err
	}
	defer m.do(func() { clear(m.loop.reports) })
	for _, r := range living {
		open[r.ID] = r.Name
	}
	for len(open) > 0 {
		select {
		case s := <-got:
			if open[s.ID] != "" {
				all = append(all, s)
				delete(open, s.ID)
			}
			continue
		case <-ctx.Done():
		case <-m.done:
		}
		var errs []error
		for id, name := range open {
			errs = append(errs, fmt.Errorf("pool: %s (%s): %w", name, id, errNoAnswer))
		}
		return all, errors.Join(errs...)
	}
	return all, nil
}

// Status returns what this member knows: its role, its host's term and master, all hosts and members, and the verdicts.
func (m *Member) Status(ctx context.Context) (wire.Status, error) {
	var s wire.Status
	err := m.call(ctx, func() { s = m.loop.node.Status() })
	return s, err
}
