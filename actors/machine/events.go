package machine

import (
	"cmp"
	"strconv"
	"strings"
	"time"
)

// Event is something that has happened at a broker, for who follows what it does. None comes of a call, or of a hit that ends well.
type Event struct {
	Seq     uint64 `json:"seq"`   // from 1, without gaps
	AtMS    int64  `json:"at_ms"` // since the broker's start
	Kind    string `json:"kind"`
	Worker  string `json:"worker,omitempty"`
	Service string `json:"service,omitempty"`
	Hit     string `json:"hit,omitempty"`
	Client  string `json:"client,omitempty"`
	Verdict string `json:"verdict,omitempty"`
	Text    string `json:"text,omitempty"`
}

// The kinds of events.
const (
	WorkerCame     = "worker.registered"
	WorkerLost     = "worker.lost"
	WorkerLeft     = "worker.left"
	WorkerDrains   = "worker.draining"
	WorkerChanged  = "worker.changed"  // it offers other services, or has other labels
	ServiceOffered = "service.offered" // somebody offers it, after nobody has
	ServiceGone    = "service.gone"    // nobody offers it any more
	VerdictGiven   = "verdict"         // about a worker, a client or a hit; troupe why has the record
	OperatorActed  = "operator"
	BrokerDrains   = "broker.draining"
)

// EventKinds lists the kinds of events.
func EventKinds() []string {
	return []string{WorkerCame, WorkerLost, WorkerLeft, WorkerDrains, WorkerChanged, ServiceOffered, ServiceGone, VerdictGiven, OperatorActed, BrokerDrains}
}

// maxEvents is how many events are kept.
const maxEvents = 4096

// diary is a ring of the latest events.
type diary struct {
	all  []Event
	last uint64 // seq
}

// event notes that something has happened.
func (b *Broker) event(now time.Duration, e Event) {
	e.AtMS = now.Milliseconds()
	b.limits.diary.add(e)
}

func (d *diary) add(e Event) {
	d.last++
	e.Seq = d.last
	if len(d.all) < maxEvents {
		d.all = append(d.all, e)
	} else {
		d.all[(d.last-1)%maxEvents] = e
	}
}

// verdict notes a record.
func (d *diary) verdict(y *Why) {
	d.add(Event{AtMS: y.AtMS, Kind: VerdictGiven, Worker: y.Worker, Hit: y.Hit, Client: y.Client, Verdict: y.Verdict, Text: y.Measured})
}

// listEvents lists a page of events, in order, from behind the one that the request names.
func (b *Broker) listEvents(r AdminRequest) any {
	after, err := strconv.ParseUint(cmp.Or(r.After, "0"), 10, 64)
	if err != nil {
		return fail("after: %.100q is no number of an event: take next from the page before", r.After)
	}
	if r.Kind != "" && !isKind(r.Kind) {
		return fail("kind: %.100q: %s are possible", r.Kind, strings.Join(EventKinds(), ", "))
	}
	limit := r.Limit
	if limit <= 0 || limit > maxPage {
		limit = maxPage
	}
	d := &b.limits.diary
	oldest := d.last - uint64(len(d.all)) // seq before the oldest that is kept
	lost := uint64(0)
	if after < oldest {
		lost, after = oldest-after, oldest
	}
	rows := []Event{}
	for ; after < d.last && len(rows) < limit; after++ {
		if e := d.all[after%maxEvents]; r.Kind == "" || strings.HasPrefix(e.Kind, r.Kind) {
			rows = append(rows, e)
		}
	}
	return map[string]any{"events": rows, "next": strconv.FormatUint(min(after, d.last), 10), "lost": lost, "more": after < d.last, "incarnation": b.cfg.Incarnation}
}

// isKind reports whether a kind, or the beginning of some, is meant.
func isKind(s string) bool {
	for _, k := range EventKinds() {
		if strings.HasPrefix(k, s) {
			return true
		}
	}
	return false
}

// audit notes an operator's action, for the log and for who follows.
func (b *Broker) audit(now time.Duration, a *Audit) Effect {
	text := a.By + " " + a.Action
	if a.Count > 0 {
		text += " " + strconv.Itoa(a.Count)
	}
	if a.Detail != "" {
		text += " (" + a.Detail + ")"
	}
	b.event(now, Event{Kind: OperatorActed, Service: a.Service, Text: text})
	return Effect{Kind: Note, Event: a}
}
