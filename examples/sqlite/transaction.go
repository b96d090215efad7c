package main

import (
	"context"
	"fmt"
	"slices"
)

// transaction is what a client wants done. It is tried until it is committed, or rolled back by choice.
type transaction struct {
	payment           // what to pay
	audit      bool   // pays nothing, but reads twice what others change meanwhile
	regret     bool   // is rolled back after it has written
	tries      int    // made so far
	doubt      bool   // a COMMIT was sent whose outcome nobody knows: it must be looked up
	resolution string // what that lookup found

	// met runs inside the transaction, between reading and writing; committed in place of a plain COMMIT. Both run once at most.
	met       func(ctx context.Context, t *teller) error
	committed func(ctx context.Context, s *session) error
}

// how begins optimistically, so that many transactions overlap. A retry takes the write lock at once, so that it succeeds.
func (x *transaction) how() string {
	if x.tries > 1 {
		return "BEGIN IMMEDIATE"
	}
	return "BEGIN"
}

// attempt goes once through the transaction, to the end that it is meant to have. An error says that it has to be tried again, or cannot be.
func (t *teller) attempt(ctx context.Context, x *transaction) error {
	x.tries++
	if err := t.session.begin(ctx, x.how()); err != nil {
		return err
	}
	if x.audit {
		return t.look(ctx, x)
	}
	if x.doubt {
		found, err := t.lookUp(ctx, x)
		if err != nil || found {
			return err
		}
	}
	if err := t.read(ctx, x); err != nil {
		return err
	}
	if err := t.write(ctx, x); err != nil {
		return err
	}
	return t.decide(ctx, x)
}

// lookUp finds out what became of a COMMIT in doubt. It holds the write lock, so that the answer stays true: a row that is missing now
// cannot appear any more, since a transaction that was about to write it would have to hold that lock.
func (t *teller) lookUp(ctx context.Context, x *transaction) (committed bool, err error) {
	row, err := t.integers(ctx, "SELECT count(*) FROM transfer WHERE id = ?", x.id)
	if err != nil {
		return false, err
	}
	x.doubt = false
	if row[0] == 0 {
		x.resolution = "not committed"
		return false, nil
	}
	x.resolution = "committed"
	t.committed = append(t.committed, x.payment)
	return true, t.session.rollback(ctx)
}

// read looks at both accounts, and once more after the meeting if there is one: the snapshot must still be the same.
func (t *teller) read(ctx context.Context, x *transaction) error {
	balances := "SELECT (SELECT balance FROM account WHERE id = ?), (SELECT balance FROM account WHERE id = ?), (SELECT count(*) FROM transfer)"
	before, err := t.integers(ctx, balances, x.debit, x.credit)
	if err != nil || x.met == nil {
		return err
	}
	met := x.met
	x.met = nil
	if err := met(ctx, t); err != nil {
		return err
	}
	after, err := t.integers(ctx, balances, x.debit, x.credit)
	if err == nil && !slices.Equal(before, after) {
		return fmt.Errorf("transaction %s read %v, then %v: its snapshot is lost", x.id, before, after)
	}
	return err
}

func (t *teller) write(ctx context.Context, x *transaction) error {
	for _, statement := range []struct {
		sql  string
		args []any
	}{
		{"UPDATE account SET balance = balance - ? WHERE id = ?", []any{x.amount, x.debit}},
		{"UPDATE account SET balance = balance + ? WHERE id = ?", []any{x.amount, x.credit}},
		{"INSERT INTO transfer (id, debit, credit, amount) VALUES (?, ?, ?, ?)", []any{x.id, x.debit, x.credit, x.amount}},
		{"INSERT INTO entry (transfer, account, amount) VALUES (?, ?, ?)", []any{x.id, x.debit, -x.amount}},
		{"INSERT INTO entry (transfer, account, amount) VALUES (?, ?, ?)", []any{x.id, x.credit, x.amount}},
	} {
		a, err := t.session.do(ctx, statement.sql, statement.args...)
		if err != nil {
			return err
		}
		if a.Changes != 1 {
			return fmt.Errorf("%s changed %d rows, not one", statement.sql, a.Changes)
		}
	}
	return nil
}

func (t *teller) decide(ctx context.Context, x *transaction) error {
	if x.regret {
		t.regrets++
		return t.session.rollback(ctx)
	}
	commit := t.session.commit
	if x.committed != nil {
		hook := x.committed
		x.committed = nil
		commit = func(ctx context.Context) error { return hook(ctx, t.session) }
	}
	if err := commit(ctx); err != nil {
		return err
	}
	t.committed = append(t.committed, x.payment)
	return nil
}
