package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// opened is a house with one worker of the language, and a client.
func opened(t *testing.T, lang string) (*house, *assigner.Client) {
	t.Helper()
	needPython(t)
	ctx := t.Context()
	h, err := openHouse(ctx, Config{Clients: 16, Python: python, Out: io.Discard, Log: io.Discard}, filepath.Join(t.TempDir(), "bank.db"))
	require.NoError(t, err)
	t.Cleanup(func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		require.NoError(t, h.close(stop))
	})
	if lang == "go" {
		require.NoError(t, h.build(ctx))
	}
	_, err = h.start(ctx, lang)
	require.NoError(t, err)
	client, err := h.dial(ctx)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close(context.WithoutCancel(ctx))) })
	return h, client
}

func sessionAt(t *testing.T, client *assigner.Client) *session {
	t.Helper()
	s, err := openSession(t.Context(), client, t.Name(), newOverlap(), t.Logf)
	require.NoError(t, err)
	return s
}

// TestContract puts the same calls to the Python worker and to the Go worker: README.md says what both answer.
func TestContract(t *testing.T) {
	for _, lang := range []string{"python", "go"} {
		t.Run(lang, func(t *testing.T) {
			h, client := opened(t, lang)
			t.Run("values", func(t *testing.T) { values(t, sessionAt(t, client)) })
			t.Run("errors", func(t *testing.T) { refusals(t, sessionAt(t, client)) })
			t.Run("bodies", func(t *testing.T) { bodies(t, client) })
			t.Run("locks", func(t *testing.T) { locks(t, client) })
			t.Run("end", func(t *testing.T) { rollsBack(t, client) })
			t.Run("vanished client", func(t *testing.T) { vanishes(t, h, client) })
			t.Run("cancellation", func(t *testing.T) { cancels(t, sessionAt(t, client)) })
			t.Run("doubt", func(t *testing.T) { doubt(t, h, client) })
		})
	}
}

func values(t *testing.T, s *session) {
	for _, c := range []struct {
		sql     string
		args    []any
		rows    string
		changes int64
	}{
		{"CREATE TABLE v (a INTEGER, b REAL, c TEXT, d, e TEXT CHECK (e <> 'no'))", nil, `[]`, 0},
		{"INSERT INTO v VALUES (?, ?, ?, ?, 'yes'), (2, 2, 2, 2, 2);", []any{int64(1) << 62, 0.1, "größer <&> \"\u2028", nil}, `[]`, 2},
		{"SELECT a, b, c, d, e, typeof(a), typeof(b) FROM v ORDER BY a", nil, `[[2,2.0,"2",2,"2","integer","real"],[4611686018427387904,0.1,"größer <&> \"\u2028",null,"yes","integer","real"]]`, 0},
		{"UPDATE v SET d = 1 WHERE a > 0 -- all", nil, `[]`, 2},
		{"UPDATE v SET d = 1 WHERE a < 0", nil, `[]`, 0},
		{"DELETE FROM v WHERE a = 2 RETURNING c", nil, `[["2"]]`, 1},
		{"-- nothing", nil, `[]`, 0},
		{"", nil, `[]`, 0},
		{" ; -- nothing", nil, `[]`, 0},
		{"CREATE TRIGGER g AFTER INSERT ON v BEGIN UPDATE v SET d = d + 1; SELECT 1; END", nil, `[]`, 0},
		{"INSERT INTO v VALUES (7, 7, 7, 7, 7)", nil, `[]`, 3}, // and two by the trigger
		{"SELECT count(*) FROM v WHERE a = 0", nil, `[[0]]`, 0},
		{"SELECT a FROM v WHERE a = 0", nil, `[]`, 0},
	} {
		a, err := s.do(t.Context(), c.sql, c.args...)
		require.NoError(t, err, c.sql)
		got, err := json.Marshal(a.Rows)
		require.NoError(t, err)
		require.JSONEq(t, c.rows, string(got), c.sql)
		require.Equal(t, c.changes, a.Changes, c.sql)
		require.Equal(t, s.hit.Thread(), a.Thread)
	}
	require.Equal(t, s.row.Replies, s.row.Same)
	require.True(t, s.row.Real)
	require.NoError(t, s.close(t.Context()))
}

// refusals leave the session, and its transaction, as they were.
func refusals(t *testing.T, s *session) {
	_, err := s.do(t.Context(), "CREATE TABLE r (a PRIMARY KEY, b CHECK (b > 0))")
	require.NoError(t, err)
	require.NoError(t, s.begin(t.Context(), "BEGIN"))
	_, err = s.do(t.Context(), "INSERT INTO r VALUES (1, 1)")
	require.NoError(t, err)
	for body, code := range map[string]int{
		`{"sql":"SELEC 1"}`:                                1,
		`{"sql":"SELECT * FROM missing"}`:                  1,
		`{"sql":"INSERT INTO r VALUES (1, 1)"}`:            1555, // SQLITE_CONSTRAINT_PRIMARYKEY
		`{"sql":"INSERT INTO r VALUES (2, 0)"}`:            sqliteCheck,
		`{"sql":"BEGIN"}`:                                  1,
		`{"sql":"ATTACH 'other.db' AS other"}`:             1,
		`{"sql":"SELECT 1; SELECT 2"}`:                     0,
		`{"sql":"SELECT ?"}`:                               0,
		`{"sql":"SELECT 1","args":[1]}`:                    0,
		`{"sql":"SELECT ?","args":[99999999999999999999]}`: 0,
		`{"sql":"SELECT ?","args":[{}]}`:                   0,
		`{"sql":"SELECT ?","args":[true]}`:                 0,
		`{"sql":"SELECT x'00ff'"}`:                         0,
		`{"args":[]}`:                                      0,
		`{"sql":`:                                          0,
		``:                                                 0,
	} {
		_, err := s.hit.Call(t.Context(), []byte(body))
		require.ErrorIs(t, err, assigner.ErrService, body)
		require.Equal(t, code, sqliteCode(err), "%s: %v", body, err)
		var told *assigner.Error
		require.ErrorAs(t, err, &told)
		require.Equal(t, assigner.Finished, told.Outcome)
		require.NotEmpty(t, told.Text)
	}
	require.NoError(t, s.commit(t.Context()))
	a, err := s.do(t.Context(), "SELECT count(*) FROM r")
	require.NoError(t, err)
	row, err := a.integers()
	require.NoError(t, err)
	require.Equal(t, []int64{1}, row)
	require.NoError(t, s.close(t.Context()))
}

func locks(t *testing.T, client *assigner.Client) {
	ctx := t.Context()
	a, b := sessionAt(t, client), sessionAt(t, client)
	_, err := a.do(ctx, "CREATE TABLE l (a)")
	require.NoError(t, err)
	_, err = b.do(ctx, "PRAGMA busy_timeout = 0")
	require.NoError(t, err)
	require.NoError(t, a.begin(ctx, "BEGIN IMMEDIATE"))
	require.Equal(t, 5, sqliteCode(b.begin(ctx, "BEGIN IMMEDIATE")))
	require.NoError(t, b.begin(ctx, "BEGIN"))
	_, err = b.do(ctx, "SELECT * FROM l")
	require.NoError(t, err)
	_, err = a.do(ctx, "INSERT INTO l VALUES (1)")
	require.NoError(t, err)
	require.NoError(t, a.commit(ctx))
	again, err := b.do(ctx, "SELECT * FROM l")
	require.NoError(t, err)
	require.Empty(t, again.Rows, "its snapshot is older than the other one's commit")
	_, err = b.do(ctx, "INSERT INTO l VALUES (2)")
	require.Equal(t, 517, sqliteCode(err), "SQLITE_BUSY_SNAPSHOT: %v", err)
	require.NoError(t, b.rollback(ctx))
	require.NoError(t, a.close(ctx))
	require.NoError(t, b.close(ctx))
}

func rollsBack(t *testing.T, client *assigner.Client) {
	ctx := t.Context()
	a, b := sessionAt(t, client), sessionAt(t, client)
	_, err := a.do(ctx, "CREATE TABLE e (a)")
	require.NoError(t, err)
	require.NoError(t, a.begin(ctx, "BEGIN IMMEDIATE"))
	_, err = a.do(ctx, "INSERT INTO e VALUES (1)")
	require.NoError(t, err)
	require.NoError(t, a.close(ctx))
	require.NoError(t, b.begin(ctx, "BEGIN IMMEDIATE"), "the lock of a hit that was closed is free")
	left, err := b.do(ctx, "SELECT * FROM e")
	require.NoError(t, err)
	require.Empty(t, left.Rows)
	require.NoError(t, b.close(ctx))
}

// vanishes: the lock of a client that leaves in the middle of a transaction is free.
func vanishes(t *testing.T, h *house, client *assigner.Client) {
	ctx := t.Context()
	other, err := h.dial(ctx)
	require.NoError(t, err)
	s := sessionAt(t, other)
	require.NoError(t, s.begin(ctx, "BEGIN IMMEDIATE"))
	_, err = s.do(ctx, "CREATE TABLE left_behind (a)")
	require.NoError(t, err)
	require.NoError(t, other.Close(ctx))
	next := sessionAt(t, client)
	require.NoError(t, next.begin(ctx, "BEGIN IMMEDIATE"))
	_, err = next.do(ctx, "SELECT * FROM left_behind")
	require.Equal(t, 1, sqliteCode(err), "no such table: %v", err)
	require.NoError(t, next.close(ctx))
}

func cancels(t *testing.T, s *session) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := s.do(ctx, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")
	require.True(t, errors.Is(err, assigner.ErrExpired) || errors.Is(err, assigner.ErrCancelled), "%v", err)
	_, err = s.do(t.Context(), "SELECT 1")
	require.NoError(t, err, "the endless statement was interrupted, the session goes on")
	require.NoError(t, s.close(t.Context()))
}

// doubt: a COMMIT that was made, but whose answer is lost, is found by the transfer's id and not made again.
func doubt(t *testing.T, h *house, client *assigner.Client) {
	bank := generate(1)
	load := sessionAt(t, client)
	require.NoError(t, bank.load(t.Context(), load))
	require.NoError(t, load.close(t.Context()))
	teller := &teller{no: 1, client: client, bank: bank, overlap: newOverlap(), log: t.Logf}
	require.NoError(t, teller.open(t.Context()))
	p := payment{id: "paid", debit: treasury, credit: 2, amount: 100}
	require.NoError(t, teller.transact(t.Context(), &transaction{payment: p}))
	again := &transaction{payment: p, doubt: true, tries: 1}
	require.NoError(t, teller.transact(t.Context(), again))
	require.Equal(t, "committed", again.resolution)
	never := &transaction{payment: payment{id: "never", debit: treasury, credit: 2, amount: 100}, doubt: true, tries: 1}
	require.NoError(t, teller.transact(t.Context(), never))
	require.Equal(t, "not committed", never.resolution)
	require.NoError(t, teller.session.close(t.Context()))
	tables, err := h.compare(t.Context(), bank.dump([]payment{p, never.payment}))
	require.NoError(t, err)
	require.Empty(t, tables.Difference, "each was paid once")
}

// TestPythonRefusesAConnectionFromASecondThread shows that the library behind the Python worker needs what Troupe gives.
func TestPythonRefusesAConnectionFromASecondThread(t *testing.T) {
	needPython(t)
	const program = `
import sqlite3, threading
db = sqlite3.connect(":memory:")
def use():
    try:
        print(db.execute("SELECT 'no refusal'").fetchall())
    except sqlite3.ProgrammingError as error:
        print(error)
second = threading.Thread(target=use)
second.start()
second.join()
print(db.execute("SELECT 'its own thread may use it'").fetchall())
`
	said, err := exec.Command(python, "-c", program).CombinedOutput()
	require.NoError(t, err, string(said))
	require.Contains(t, string(said), "can only be used in that same thread")
	require.NotContains(t, string(said), "no refusal")
	require.Contains(t, string(said), "its own thread may use it")
}

// TestGoWorker runs the tests of the Go worker, which is a module of its own.
func TestGoWorker(t *testing.T) {
	test := exec.Command("go", "test", "-count=1", "./...")
	test.Dir = "goworker"
	said, err := test.CombinedOutput()
	require.NoError(t, err, string(said))
}
