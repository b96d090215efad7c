package main

import (
	"context"
	"fmt"
	"slices"
)

// look sums up all accounts and counts the transfers, reads some accounts, and does the first again. Whatever others commit in between, one transaction
// sees one state, and in every state the sum is the same.
func (t *teller) look(ctx context.Context, x *transaction) error {
	const state = "SELECT (SELECT sum(balance) FROM account), (SELECT count(*) FROM transfer), (SELECT coalesce(sum(amount), 0) FROM entry)"
	before, err := t.integers(ctx, state)
	if err != nil {
		return err
	}
	for id := range int64(4) {
		if _, err := t.integers(ctx, "SELECT balance FROM account WHERE id = ?", 1+(x.debit+id)%accounts); err != nil {
			return err
		}
	}
	after, err := t.integers(ctx, state)
	if err != nil {
		return err
	}
	if !slices.Equal(before, after) || before[0] != t.bank.total || before[2] != 0 {
		return fmt.Errorf("audit %s read %v, then %v, and there are %d cents in all: it has not seen one state", x.id, before, after, t.bank.total)
	}
	t.audits++
	return t.session.commit(ctx)
}
