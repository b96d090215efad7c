package main

import (
	"context"
	"math/rand/v2"
	"slices"
)

// first is the round in whose middle a worker is killed.
func (d *demo) first(ctx context.Context, victim *process) error {
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

// rounds opens the house, loads the bank and runs both rounds.
func (d *demo) rounds(ctx context.Context) error {
	victim, err := d.prepare(ctx)
	if err != nil {
		return err
	}
	for no := range d.cfg.Clients {
		client, err := d.house.dial(ctx)
		if err != nil {
			return err
		}
		d.tellers = append(d.tellers, &teller{no: no + 1, client: client, bank: d.bank, overlap: d.overlap, log: d.logger(), rng: rand.New(rand.NewPCG(d.cfg.Seed, uint64(no+1)))})
	}
	if err := d.first(ctx, victim); err != nil {
		return err
	}
	return d.second(ctx)
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
