package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// first is the round in whose middle a worker is killed.
func (d *demo) first(ctx context.Context, victim *worker) error {
	crash := newCrash(d.house, victim)
	meeting := newMeeting(len(d.tellers), func(all []*teller) { d.measure(1, all); crash.choose(all); d.tellStrike(crash) })
	err := d.round(ctx, 1, func(x *transaction) {
		x.met = func(ctx context.Context, t *teller) error {
			if err := meeting.wait(ctx, t); err != nil {
				return err
			}
			return crash.met(ctx, t, x)
		}
	})
	if err != nil {
		return err
	}
	d.report.Crash = crash.report(d.report.Hits)
	d.tellCrash()
	return d.house.registered(ctx, crash.replacement)
}

// second is the round after the killed worker was replaced.
func (d *demo) second(ctx context.Context) error {
	meeting := newMeeting(len(d.tellers), func(all []*teller) { d.measure(2, all) })
	return d.round(ctx, 2, func(x *transaction) { x.met = meeting.wait })
}

// measure notes how many transactions are open now. It runs while all clients wait inside one.
func (d *demo) measure(round int, all []*teller) {
	for _, t := range all {
		t.session.row.Met = true
	}
	d.report.Overlaps = append(d.report.Overlaps, Overlap{Round: round, ByProcess: d.overlap.present()})
	d.tellOverlap()
}

// round lets all clients run at the same time. The transaction in the middle is the special one.
func (d *demo) round(ctx context.Context, number int, special func(*transaction)) error {
	d.tellRound(number)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for _, t := range d.tellers {
		all.Go(func() {
			if err := t.round(ctx, number, d.cfg.Transactions, d.cfg.Transactions/2, special); err != nil {
				cancel(err) // the others would wait for this one
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("round %d: %w", number, err)
	}
	d.collect(number)
	return nil
}

// collect takes over the records of the hits that have ended.
func (d *demo) collect(round int) {
	var rows []HitRow
	for _, t := range d.tellers {
		for _, row := range t.done {
			row.Round, row.Lang = round, d.house.lang(row.PID)
			rows = append(rows, row)
		}
		t.done = nil
	}
	slices.SortStableFunc(rows, func(a, b HitRow) int { return a.PID - b.PID })
	d.report.Hits = append(d.report.Hits, rows...)
	d.tellHits(rows)
}
