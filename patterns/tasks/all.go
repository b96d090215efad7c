package tasks

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

// State says what became of a member's answer.
type State string

// The states of a ledger's entries.
const (
	Answered State = "answered"
	Failed   State = "failed" // its service has said no, or could not be asked
	Lost     State = "lost"   // a verdict on it, or it has left, before it has answered
	Late     State = "late"   // it joined after the question was asked, and was not asked
	Open     State = "open"   // ctx has ended before it has answered
)

// Entry is what became of one member's answer.
type Entry struct {
	Member  assigner.Member
	State   State
	Reply   [][]byte
	Err     error  // with Failed, Lost and Open
	Verdict string // with Lost: GONE, FROZEN, STUCK, ..., or LEFT where it takes no more hits
}

// Ledger is what became of a question to all: one entry for each member that was there when it was asked, by name, and for each that came later.
type Ledger struct {
	Entries  []Entry
	Complete bool // every member that was asked has answered, failed or is lost
}

// Count returns how many entries are in a state.
func (l *Ledger) Count(s State) (n int) {
	for _, e := range l.Entries {
		if e.State == s {
			n++
		}
	}
	return n
}

// All asks every worker that offers the service now, or, with Target.Where, those whose labels match. The ledger is complete when each of them has answered, has
// failed, or is lost by a verdict: never by a time-out, though Spec.Deadline bounds it where it is set. each is called for each entry as it ends, one at a time;
// nil: nobody is. A member is asked once: what is lost is not asked elsewhere. When ctx ends first, the entries that are not over are Open, and so is the ledger.
// The error is one of asking who is there, or of a Spec that cannot be used.
func (c *Client) All(ctx context.Context, s Spec, each func(Entry)) (*Ledger, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if t := s.Target; t.Worker != "" || t.Member != "" || t.Key != "" || s.ID != "" || s.Retry.Most > 0 {
		return nil, errors.New("tasks: All asks each member once: leave ID, Retry and all of Target but Where out")
	}
	members, err := c.members(ctx, s)
	if err != nil {
		return nil, err
	}
	l := &Ledger{Complete: true}
	var mu sync.Mutex
	note := func(e Entry) {
		mu.Lock()
		defer mu.Unlock()
		l.Entries = append(l.Entries, e)
		l.Complete = l.Complete && e.State != Open
		if each != nil {
			each(e)
		}
	}
	var asking sync.WaitGroup
	for _, m := range members {
		asking.Go(func() { note(c.askOne(ctx, s, m)) })
	}
	asking.Wait()
	if ctx.Err() == nil {
		c.lateComers(ctx, s, members, note)
	}
	slices.SortFunc(l.Entries, func(a, b Entry) int {
		return strings.Compare(a.Member.Worker+"\x00"+a.Member.ID, b.Member.Worker+"\x00"+b.Member.ID)
	})
	return l, nil
}

// asked is a member, and the client that reaches it.
type asked struct {
	assigner.Member
	at *assigner.Client
}

// members asks every broker for its members. One worker at several brokers is one member.
func (c *Client) members(ctx context.Context, s Spec) ([]asked, error) {
	at := c.byURL
	if len(at) == 0 {
		at = []*assigner.Client{c.calls}
	}
	var all []asked
	seen := make(map[string]bool)
	for _, x := range at {
		rows, err := x.Members(ctx, s.Service, s.Target.Where)
		if err != nil {
			return nil, fmt.Errorf("tasks: who offers %s cannot be asked: %w", s.Service, err)
		}
		for _, m := range rows {
			name := m.Worker + "\x00" + m.Host + "\x00" + strconv.Itoa(m.PID)
			if !seen[name] || m.PID == 0 {
				seen[name] = true
				all = append(all, asked{m, x})
			}
		}
	}
	return all, nil
}

// askOne gives the task to one member, and waits for what comes of it.
func (c *Client) askOne(ctx context.Context, s Spec, m asked) Entry {
	e := Entry{Member: m.Member, State: Answered}
	one := ctx
	if s.Deadline > 0 {
		limited, cancel := context.WithTimeout(ctx, s.Deadline)
		defer cancel()
		one = limited
	}
	s.Target = assigner.Target{Member: m.ID}
	for crowded := 0; ; crowded++ {
		answer, err := m.at.DoAt(one, s.open(nil, false, false), s.request())
		var failed *assigner.Error
		switch {
		case err == nil:
			e.Reply = answer.Frames
			return e
		case errors.As(err, &failed) && failed.Status == wire.QueueFull && one.Err() == nil:
			pause(one, crowded)
			continue
		}
		e.Err = err
		e.State, e.Verdict = stateOf(one, failed)
		return e
	}
}

func stateOf(ctx context.Context, e *assigner.Error) (State, string) {
	switch {
	case e == nil:
		return Failed, ""
	case e.Status == wire.WorkerGone, e.Status == wire.IsStuck, e.Status == wire.BrokerGone, e.Status == wire.NotRegistered:
		verdict := "GONE"
		if r, ok := e.Reason(); ok && r.Verdict != "" {
			verdict = r.Verdict
		}
		return Lost, verdict
	case e.Status == wire.NoMatch, e.Status == wire.Draining:
		return Lost, "LEFT"
	case ctx.Err() != nil:
		return Open, ""
	}
	return Failed, ""
}

// lateComers notes who has joined since.
func (c *Client) lateComers(ctx context.Context, s Spec, before []asked, note func(Entry)) {
	now, err := c.members(ctx, s)
	if err != nil {
		return // nothing is known of them
	}
	for _, m := range now {
		if !slices.ContainsFunc(before, func(x asked) bool { return x.ID == m.ID && x.at == m.at }) {
			note(Entry{Member: m.Member, State: Late})
		}
	}
}

// pause waits before a member is asked again that had no room.
func pause(ctx context.Context, n int) {
	t := time.NewTimer(rand.N(min(5*time.Millisecond<<min(n, 7), 500*time.Millisecond)))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
