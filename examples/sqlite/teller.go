package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// teller is one client of the service. It has a connection of its own and runs one transaction after the other, in one hit per round. It is used by
// one goroutine.
type teller struct {
	no      int
	client  *assigner.Client
	bank    *bank
	overlap *overlap
	log     func(format string, args ...any)
	rng     *rand.Rand
	session *session

	committed []payment // its ledger: what it knows to be committed
	audits    int       // read transactions that saw one state from begin to end
	regrets   int       // rolled back by choice, after writing
	overdrawn int       // rolled back because the database refused an overdraft
	repeats   int       // tries that met another one's lock or a newer state
	done      []HitRow
}

const (
	sqliteBusy  = 5   // the low byte of SQLITE_BUSY and SQLITE_BUSY_SNAPSHOT
	sqliteCheck = 275 // SQLITE_CONSTRAINT_CHECK
	mostTries   = 100
)

// round opens a hit, runs n transactions and closes it. at is the index of the one that is special.
func (t *teller) round(ctx context.Context, number, n, at int, special func(*transaction)) error {
	if err := t.open(ctx); err != nil {
		return err
	}
	for i := range n {
		x := &transaction{payment: draw(t.rng, fmt.Sprintf("c%02d-r%d-t%02d", t.no, number, i+1))}
		dice := t.rng.IntN(6)
		x.audit, x.regret = dice == 0, dice == 1
		if i == at {
			*x = transaction{payment: payment{id: x.id, debit: treasury, credit: x.credit, amount: x.amount}}
			special(x)
		}
		if err := t.transact(ctx, x); err != nil {
			return fmt.Errorf("client %d, transaction %s: %w", t.no, x.id, err)
		}
	}
	err := t.session.close(ctx)
	t.done = append(t.done, t.session.row)
	return err
}

func (t *teller) open(ctx context.Context) error {
	var err error
	t.session, err = openSession(ctx, t.client, fmt.Sprintf("client %d", t.no), t.overlap, t.log)
	return err
}

// transact tries a transaction until it is through.
func (t *teller) transact(ctx context.Context, x *transaction) error {
	for {
		err := t.attempt(ctx, x)
		if err != nil {
			err = t.recover(ctx, x, err)
		}
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, errAgain):
			return err
		case x.tries == mostTries:
			return fmt.Errorf("it was tried %d times: %w", x.tries, err)
		}
	}
}

// errAgain says that the transaction can be tried again.
var errAgain = errors.New("not done yet")

// recover does after a failed attempt what a user would do: gives way to others, accepts the database's refusal, or opens another hit. It returns
// nil if the transaction is through all the same, and errAgain if not.
func (t *teller) recover(ctx context.Context, x *transaction, err error) error {
	code := sqliteCode(err)
	switch {
	case errors.Is(err, assigner.ErrWorkerGone):
		return t.replace(ctx, x, err)
	case code&0xff != sqliteBusy && code != sqliteCheck:
		return err
	}
	if undo := t.session.rollback(ctx); undo != nil {
		return t.recover(ctx, x, undo)
	}
	if code == sqliteCheck {
		t.overdrawn++
		return nil
	}
	t.repeats++
	t.session.row.Busy++
	return fmt.Errorf("%w: %w", errAgain, err)
}

// replace opens another hit in place of one that died with its worker. What was not committed is rolled back with it. Only a COMMIT that was under way
// leaves a doubt.
func (t *teller) replace(ctx context.Context, x *transaction, lost error) error {
	var told *assigner.Error
	if errors.As(lost, &told) && told.Outcome != assigner.NeverStarted && t.session.row.At == "COMMIT" && !x.audit {
		x.doubt = true
	}
	t.done = append(t.done, t.session.row)
	if err := t.open(ctx); err != nil {
		return err
	}
	return fmt.Errorf("%w: %w", errAgain, lost)
}

func (t *teller) integers(ctx context.Context, query string, args ...any) ([]int64, error) {
	a, err := t.session.do(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return a.integers()
}
