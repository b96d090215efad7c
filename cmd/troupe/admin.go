package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

// errRefused is the cause of an error that the broker gave as its answer.
var errRefused = errors.New("the broker says")

// administer asks the broker and reads its answer into the value.
func administer(ctx context.Context, c *assigner.Client, r machine.AdminRequest, into any) error {
	report, err := c.Admin(ctx, r)
	if err != nil {
		return err
	}
	var refused machine.Refusal
	switch err = machine.ReadReport(report, into); {
	case errors.As(err, &refused):
		return fmt.Errorf("%w: %w", errRefused, refused)
	case err != nil:
		return fmt.Errorf("%s: %w", r.Cmd, err)
	}
	return nil
}

// hitPage is a page of hit.list.
type hitPage struct {
	Hits  []machine.HitRow `json:"hits"`
	Total int              `json:"total"`
	More  bool             `json:"more"`
}

// allHits lists the open hits, page by page, in the order in which they were opened.
func allHits(ctx context.Context, c *assigner.Client) ([]machine.HitRow, error) {
	var all []machine.HitRow
	seen := make(map[string]bool)
	for {
		page, err := nextPage(ctx, c, all)
		if err != nil {
			return nil, err
		}
		for _, row := range page.Hits {
			if !seen[row.Hit] {
				seen[row.Hit] = true
				all = append(all, row)
			}
		}
		if !page.More {
			return all, nil
		}
	}
}

// nextPage asks for what comes behind the last of the hits that is still open.
func nextPage(ctx context.Context, c *assigner.Client, before []machine.HitRow) (hitPage, error) {
	for i := len(before) - 1; i >= 0; i-- {
		var page hitPage
		err := administer(ctx, c, machine.AdminRequest{Cmd: "hit.list", After: before[i].Hit}, &page)
		if !errors.Is(err, errRefused) {
			return page, err
		}
	}
	var page hitPage
	return page, administer(ctx, c, machine.AdminRequest{Cmd: "hit.list"}, &page)
}

// workerPage is the answer to worker.list.
type workerPage struct {
	Workers []machine.WorkerRow `json:"workers"`
}
