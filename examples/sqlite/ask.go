package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/actors/machine"
)

// registered waits until the broker lists the process as a worker.
func (h *house) registered(ctx context.Context, p *worker) error {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for {
		var list struct {
			Workers []machine.WorkerRow `json:"workers"`
		}
		if err := h.ask(ctx, "worker.list", &list); err != nil {
			return err
		}
		for _, w := range list.Workers {
			if w.PID == p.PID() {
				return nil
			}
		}
		select {
		case <-look.C:
		case <-p.Done():
			return fmt.Errorf("%w: `make setup` installs what a worker needs", p.Ended())
		case <-ctx.Done():
			return fmt.Errorf("the %s worker has not registered: %w", p.lang, context.Cause(ctx))
		}
	}
}

// underWay returns how many calls of a hit the broker has passed on without an answer yet.
func (h *house) underWay(ctx context.Context, hit uint64) (int, error) {
	var list struct {
		Hits []machine.HitRow `json:"hits"`
	}
	if err := h.ask(ctx, "hit.list", &list); err != nil {
		return 0, err
	}
	for _, row := range list.Hits {
		if row.Hit == fmt.Sprintf("%x", hit) {
			return int(row.Waiting), nil
		}
	}
	return 0, fmt.Errorf("the broker has no hit %x", hit)
}

// ask puts a question to the broker as `troupe hit list` and its like do.
func (h *house) ask(ctx context.Context, question string, into any) error {
	answer, err := h.broker.Administer(ctx, machine.AdminRequest{Cmd: question})
	if err != nil {
		return err
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
