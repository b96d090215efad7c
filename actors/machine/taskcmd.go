package machine

import (
	"fmt"
	"strconv"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// TaskRow is one task in a listing.
type TaskRow struct {
	No      string `json:"no"` // of all that were submitted; a page starts behind one
	ID      string `json:"task"`
	Service string `json:"service"`
	Label   string `json:"label,omitempty"`
	State   string `json:"state"`            // queued, running, done or failed
	Status  string `json:"status,omitempty"` // of one that has failed
	Worker  string `json:"worker,omitempty"` // that runs it
	Hit     string `json:"hit,omitempty"`
	Key     string `json:"key,omitempty"` // the name of its submitter's key
	Askers  int    `json:"askers"`        // who wait for the answer at present
	Bytes   int    `json:"bytes"`         // of the answer that is kept
	AgeMS   int64  `json:"age_ms"`        // since it was submitted
	LeftMS  int64  `json:"kept_left_ms"`  // how long the answer is kept yet
}

// listTasks lists tasks in order of submission, the latest first.
func (b *Broker) listTasks(now time.Duration, r AdminRequest) any {
	at := b.tasks.last
	if r.After != "" {
		after, err := strconv.ParseUint(r.After, 10, 64)
		if err != nil {
			return fail("after: %.100q is no number of a task: take it from the page before", r.After)
		}
		for at != nil && at.order >= after {
			at = at.prev
		}
	}
	switch r.State {
	case "", "queued", "running", "done", "failed":
	default:
		return fail("state: %.100q: queued, running, done and failed are possible", r.State)
	}
	limit := r.Limit
	if limit <= 0 || limit > maxPage {
		limit = maxPage
	}
	rows := []TaskRow{}
	for ; at != nil && len(rows) < limit; at = at.prev {
		if (r.Task == "" || at.id == r.Task) && (r.State == "" || at.state() == r.State) && (r.Service == "" || at.service == r.Service) {
			rows = append(rows, b.taskRow(now, at))
		}
	}
	return map[string]any{"tasks": rows, "total": len(b.tasks.byKey), "kept_bytes": b.tasks.bytes, "more": at != nil}
}

func (b *Broker) taskRow(now time.Duration, t *task) TaskRow {
	row := TaskRow{
		No: strconv.FormatUint(t.order, 10), ID: t.id, Service: t.service, Label: t.label, State: t.state(), Askers: len(t.askers), Bytes: t.bytes, AgeMS: (now - t.since).Milliseconds(),
	}
	if t.hit != nil {
		row.Worker, row.Hit = t.hit.names.Worker, fmt.Sprintf("%x", t.hit.Handle)
	}
	if t.done != nil {
		row.LeftMS = max((t.until - now).Milliseconds(), 0)
		if t.done.Header.Type == wire.Error {
			row.Status = t.done.Header.Status.String()
		}
	}
	if user := t.key[:len(t.key)-len(t.id)-1]; user != "" && b.cfg.Book != nil {
		if e := b.cfg.Book.Find(user); e != nil {
			row.Key = e.Name
		}
	}
	return row
}

// cancelTasks cancels the tasks with an id, whoever has submitted them.
func (b *Broker) cancelTasks(now time.Duration, r AdminRequest, fx []Effect) (any, []Effect) {
	by, n := r.By, 0
	if by == "" {
		by = "task cancel"
	}
	for t := b.tasks.last; t != nil; {
		prev := t.prev // t may be forgotten
		if t.id == r.Task && t.done == nil {
			fx = b.cancelTask(now, t, "an operator ("+by+")", fx)
			n++
		}
		t = prev
	}
	if n == 0 {
		return fail("no task %.140q is queued or running: see `troupe task list`", r.Task), fx
	}
	return map[string]any{"cancelled": r.Task, "tasks": n}, fx
}

// add takes a task in, as the latest.
func (k *book) add(t *task) {
	k.byKey[t.key] = t
	t.prev = k.last
	if k.last != nil {
		k.last.next = t
	}
	k.last = t
}

// remove takes a task out.
func (k *book) remove(t *task) {
	if k.byKey[t.key] != t {
		return
	}
	delete(k.byKey, t.key)
	if t.prev != nil {
		t.prev.next = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	} else {
		k.last = t.prev
	}
	t.prev, t.next = nil, nil
}
