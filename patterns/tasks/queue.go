package tasks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

// Queue looks into what waits at a broker for a service, and changes it, as an operator does: the broker must let its client use ADMIN (BrokerConfig.Admin, or a key with
// that right). All methods are safe for concurrent use. What the broker refuses matches assigner.ErrRefused.
type Queue struct {
	calls   *assigner.Client
	service string
}

// Waiting says how many tasks wait for somebody, who that is, and of which topics they are.
type Waiting = machine.QueueRow

// Item is one task, or other hit, that waits.
type Item = machine.ItemRow

// Which chooses some of what waits; the zero value is all of it.
type Which struct {
	Topic string        // of this topic
	Older time.Duration // that waits longer than this
	For   string        // for this target, as listings name it
}

// Queue returns the queues of a service: that for any worker, and those of targets. Empty: of all services, which can be listed only.
func (c *Client) Queue(service string) *Queue { return &Queue{c.calls, service} }

// List says what waits, without naming each.
func (q *Queue) List(ctx context.Context) ([]Waiting, error) {
	var page struct {
		Queues []Waiting `json:"queues"`
	}
	err := q.admin(ctx, machine.AdminRequest{Cmd: "queue.list"}, &page)
	return page.Queues, err
}

// Show lists what waits, the first first: at most so many, 0: all.
func (q *Queue) Show(ctx context.Context, w Which, most int) ([]Item, error) {
	var all []Item
	for r := q.request("queue.show", w); ; {
		if r.Limit = 1000; most > 0 {
			r.Limit = min(r.Limit, most-len(all))
		}
		var page struct {
			Items []Item `json:"items"`
			More  bool   `json:"more"`
			After string `json:"after"`
		}
		if err := q.admin(ctx, r, &page); err != nil {
			return all, err
		}
		all = append(all, page.Items...)
		if !page.More || most > 0 && len(all) >= most {
			return all, nil
		}
		r.After = page.After
	}
}

// Remove takes one item out; whoever has submitted it is told (assigner.ErrKilled, never started).
func (q *Queue) Remove(ctx context.Context, id string) error {
	return q.admin(ctx, machine.AdminRequest{Cmd: "queue.remove", ID: id}, nil)
}

// Count counts what Clear and Move would take out.
func (q *Queue) Count(ctx context.Context, w Which) (int, error) {
	r := q.request("queue.clear", w)
	r.DryRun = true
	var done struct {
		Would int `json:"would"`
	}
	err := q.admin(ctx, r, &done)
	return done.Would, err
}

// Clear takes out what waits now, and returns how many that were; their submitters are told.
func (q *Queue) Clear(ctx context.Context, w Which) (int, error) {
	var done struct {
		Removed int `json:"removed"`
	}
	err := q.admin(ctx, q.request("queue.clear", w), &done)
	return done.Removed, err
}

// Move has another service do what waits now, and returns how many have moved. What finds no room there stays where it is, and is counted in noRoom.
func (q *Queue) Move(ctx context.Context, to string, w Which) (moved, noRoom int, err error) {
	r := q.request("queue.move", w)
	r.To = to
	var done struct {
		Moved  int `json:"moved"`
		NoRoom int `json:"no_room"`
	}
	err = q.admin(ctx, r, &done)
	return done.Moved, done.NoRoom, err
}

// Hold lets nothing out, whoever is free, until Release.
func (q *Queue) Hold(ctx context.Context) error {
	return q.admin(ctx, machine.AdminRequest{Cmd: "queue.hold"}, nil)
}

// Release ends Hold.
func (q *Queue) Release(ctx context.Context) error {
	return q.admin(ctx, machine.AdminRequest{Cmd: "queue.release"}, nil)
}

func (q *Queue) request(cmd string, w Which) machine.AdminRequest {
	return machine.AdminRequest{Cmd: cmd, Topic: w.Topic, For: w.For, OlderMS: w.Older.Milliseconds()}
}

func (q *Queue) admin(ctx context.Context, r machine.AdminRequest, into any) error {
	r.Service = q.service
	report, err := q.calls.Admin(ctx, r)
	if err != nil {
		return err
	}
	var refused machine.Refusal
	if err = machine.ReadReport(report, into); errors.As(err, &refused) {
		return fmt.Errorf("tasks: %s: %w: %w", r.Cmd, assigner.ErrRefused, refused)
	}
	return err
}
