package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// bank is the generated data: what the accounts hold at the start. Amounts are whole cents.
type bank struct {
	accounts []account
	total    int64
}

type account struct {
	id      int64
	owner   string
	balance int64
}

// payment moves an amount from one account to another. Its id is chosen by the client before the first try, so that it can be looked up
// when nobody knows whether it was committed.
type payment struct {
	id            string
	debit, credit int64
	amount        int64
}

const (
	accounts     = 64
	treasury     = 1 // the one account that always has funds
	mostFunds    = 3000
	mostToPay    = 1200 // now and then more than there is, so that the database refuses
	treasuryHeld = 10_000_000
)

// generate makes the same bank for the same seed.
func generate(seed uint64) *bank {
	draw := rand.New(rand.NewPCG(seed, 0))
	b := &bank{}
	for id := int64(1); id <= accounts; id++ {
		a := account{id: id, owner: fmt.Sprintf("branch %02d, customer %04d", draw.IntN(20), draw.IntN(10_000)), balance: draw.Int64N(mostFunds)}
		if id == treasury {
			a.owner, a.balance = "treasury", treasuryHeld
		}
		b.accounts = append(b.accounts, a)
		b.total += a.balance
	}
	return b
}

var schema = []string{
	"CREATE TABLE account (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, balance INTEGER NOT NULL CHECK (balance >= 0))",
	"CREATE TABLE transfer (id TEXT PRIMARY KEY, debit INTEGER NOT NULL REFERENCES account, credit INTEGER NOT NULL REFERENCES account, amount INTEGER NOT NULL)",
	"CREATE TABLE entry (transfer TEXT NOT NULL REFERENCES transfer, account INTEGER NOT NULL REFERENCES account, amount INTEGER NOT NULL)",
}

// load writes the bank through a session, as one transaction.
func (b *bank) load(ctx context.Context, s *session) error {
	if err := s.begin(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for _, table := range schema {
		if _, err := s.do(ctx, table); err != nil {
			return err
		}
	}
	for _, a := range b.accounts {
		if _, err := s.do(ctx, "INSERT INTO account (id, owner, balance) VALUES (?, ?, ?)", a.id, a.owner, a.balance); err != nil {
			return err
		}
	}
	return s.commit(ctx)
}

// dump is what the tables must hold once these payments, and no others, are committed: a line per row, sorted.
func (b *bank) dump(committed []payment) []string {
	balance := make(map[int64]int64)
	var lines []string
	for _, p := range committed {
		balance[p.debit] -= p.amount
		balance[p.credit] += p.amount
		lines = append(lines, fmt.Sprintf("transfer|%s|%d|%d|%d", p.id, p.debit, p.credit, p.amount),
			fmt.Sprintf("entry|%s|%d|%d", p.id, p.debit, -p.amount), fmt.Sprintf("entry|%s|%d|%d", p.id, p.credit, p.amount))
	}
	for _, a := range b.accounts {
		lines = append(lines, fmt.Sprintf("account|%d|%s|%d", a.id, a.owner, a.balance+balance[a.id]))
	}
	slices.SortFunc(lines, strings.Compare)
	return lines
}

// draw makes a payment between two accounts.
func draw(rng *rand.Rand, id string) payment {
	p := payment{id: id, debit: 2 + rng.Int64N(accounts-1), credit: 2 + rng.Int64N(accounts-2), amount: 1 + rng.Int64N(mostToPay)}
	if p.credit >= p.debit {
		p.credit++
	}
	return p
}
