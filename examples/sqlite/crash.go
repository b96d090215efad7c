package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// crash kills a worker process while all clients are inside transactions and one COMMIT is on its way to it.
type crash struct {
	house  *house
	victim *worker

	// Set while all clients wait at the meeting.
	committer *teller
	doubtful  *transaction
	struck    chan struct{} // closed when the victim is dead

	inFlight    int   // calls that the broker had passed on to the committer's hit when the victim died
	lost        error // what the committer was told
	replacement *worker
}

func newCrash(h *house, victim *worker) *crash {
	return &crash{house: h, victim: victim, struck: make(chan struct{})}
}

// choose makes one client of the victim the committer. It runs while all wait.
func (c *crash) choose(all []*teller) {
	for _, t := range all {
		if t.session.row.PID == c.victim.PID() && (c.committer == nil || t.no < c.committer.no) {
			c.committer = t
		}
	}
}

// met holds all but the committer in their transactions until the victim is dead.
func (c *crash) met(ctx context.Context, t *teller, x *transaction) error {
	switch c.committer {
	case nil:
		return fmt.Errorf("no client has a hit at the worker process %d, which was to be killed", c.victim.PID())
	case t:
		c.doubtful = x
		x.committed = c.strike
		return nil
	}
	return await(ctx, c.struck)
}

// strike sends COMMIT to the victim and kills it before it can answer: it is frozen first, and killed when the broker has passed the COMMIT on. Then
// another worker takes its place, as an operator would see to.
func (c *crash) strike(ctx context.Context, s *session) error {
	if err := c.victim.Freeze(ctx); err != nil {
		return err
	}
	told := make(chan error, 1)
	go func() { told <- s.commit(ctx) }()
	for c.inFlight == 0 {
		var err error
		if c.inFlight, err = c.house.underWay(ctx, s.hit.Handle()); err != nil {
			c.victim.kill()
			return errors.Join(err, <-told)
		}
	}
	c.victim.kill()
	close(c.struck)
	c.lost = <-told
	var err error
	if c.replacement, err = c.house.launch(c.victim.lang); err != nil {
		return err
	}
	return c.lost
}

// report is what became of the hits, once the round is over.
func (c *crash) report(rows []HitRow) *Crash {
	r := &Crash{
		Process: c.victim.PID(), Lang: c.victim.lang, Replacement: c.replacement.PID(), InFlight: c.inFlight, Resolution: c.doubtful.resolution,
		Transfer: c.doubtful.id, Outcomes: make(map[string]int),
	}
	for _, row := range rows {
		switch {
		case row.End != "closed":
			r.Failed++
			r.Outcomes[fmt.Sprintf("%s (%s) at %s", row.End, row.Outcome, row.At)]++
		case row.Met:
			r.Untouched++
		}
	}
	var told *assigner.Error
	if errors.As(c.lost, &told) {
		r.Told, r.Why, r.Outcome = told.Error(), told.Why, told.Outcome.String()
	}
	return r
}
