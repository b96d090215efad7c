package tasks

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// Status is how a task with an ID stands at its broker.
type Status struct {
	ID      string
	Service string
	Topic   string
	State   string        // queued, running, done or failed
	Status  string        // of one that has failed, as worker-gone
	Worker  string        // that runs it
	Age     time.Duration // since it was submitted
	Left    time.Duration // for how long its answer is kept yet
	Bytes   int           // of that answer
}

// Status asks the broker how a task that was submitted with an ID stands. One that is not known is assigner.ErrUnknownTask.
func (c *Client) Status(ctx context.Context, id string) (Status, error) {
	raw, err := c.at(id).Admin(ctx, map[string]string{"cmd": "task.list", "task": id})
	if err != nil {
		return Status{}, fmt.Errorf("tasks: the status of %s cannot be asked: %w", id, err)
	}
	var page struct {
		Tasks []struct {
			Task, Service, Label, State, Status, Worker string

			Age   int64 `json:"age_ms"`
			Left  int64 `json:"kept_left_ms"`
			Bytes int
		}
		Error string
	}
	if err := json.Unmarshal(raw, &page); err != nil {
		return Status{}, fmt.Errorf("tasks: the broker's answer about %s cannot be read: %w", id, err)
	}
	if page.Error != "" || len(page.Tasks) == 0 {
		return Status{}, fmt.Errorf("tasks: %s: %w at this broker: it was never submitted with this id, or its answer is not kept any more", id, assigner.ErrUnknownTask)
	}
	t, ms := page.Tasks[0], time.Millisecond
	return Status{t.Task, t.Service, t.Label, t.State, t.Status, t.Worker, time.Duration(t.Age) * ms, time.Duration(t.Left) * ms, t.Bytes}, nil
}
