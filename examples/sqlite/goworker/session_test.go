package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// pinned returns a session on the test's own thread, and its database.
func pinned(t *testing.T) (assigner.Session, *sql.DB) {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	db, err := openDatabase(t.Context(), filepath.Join(t.TempDir(), "a b?c.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s, err := openSession(db, &assigner.Opening{Thread: unix.Gettid()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, db
}

func call(ctx context.Context, s assigner.Session, body string) (string, error) {
	b, err := s.Call(ctx, &assigner.Call{Frames: [][]byte{[]byte(body)}})
	return string(b), err
}

func TestSQLiteRunsOnTheThreadOfTheHit(t *testing.T) {
	s, _ := pinned(t)
	for range 100 {
		runtime.Gosched()
		got, err := call(t.Context(), s, `{"sql":"SELECT os_thread()"}`)
		if err != nil {
			t.Fatal(err)
		}
		var r struct {
			Rows   [][]int
			Thread int
		}
		if err := json.Unmarshal([]byte(got), &r); err != nil || r.Rows[0][0] != unix.Gettid() || r.Thread != unix.Gettid() {
			t.Fatalf("got %s on thread %d, %v", got, unix.Gettid(), err)
		}
	}
}

func TestACallOnAnotherThreadIsRefused(t *testing.T) {
	s, _ := pinned(t)
	got := make(chan error)
	go func() {
		runtime.LockOSThread() // not the test's thread, which is locked as well
		defer runtime.UnlockOSThread()
		_, err := call(t.Context(), s, `{"sql":"SELECT 1"}`)
		got <- err
	}()
	if err := <-got; err == nil || !strings.Contains(err.Error(), "must not happen") {
		t.Fatalf("got %v", err)
	}
}

func TestAnInterruptedStatementStaysOnItsThread(t *testing.T) {
	s, _ := pinned(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	const endless = `{"sql":"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"}`
	if _, err := call(ctx, s, endless); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	if _, err := call(t.Context(), s, `{"sql":"SELECT 1"}`); err != nil {
		t.Fatal(err)
	}
}

func TestCloseRollsBackAndEndsTheConnection(t *testing.T) {
	s, db := pinned(t)
	for _, body := range []string{`{"sql":"CREATE TABLE t (a)"}`, `{"sql":"BEGIN"}`, `{"sql":"INSERT INTO t VALUES (1)"}`} {
		if _, err := call(t.Context(), s, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := db.Stats().OpenConnections; n != 0 {
		t.Fatalf("%d connections are left", n)
	}
	var rows int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM t").Scan(&rows); err != nil || rows != 0 {
		t.Fatalf("%d rows, %v", rows, err)
	}
}

func TestValuesThatHaveNoPlaceInTheContractAreRefusedWithARemedy(t *testing.T) {
	s, _ := pinned(t)
	for _, step := range [][2]string{
		{`{"sql":"CREATE TABLE t (at DATETIME, yes BOOLEAN)"}`, `"rows":[]`},
		{`{"sql":"INSERT INTO t VALUES ('2024-02-03', 1)"}`, `"changes":1`},
		{`{"sql":"SELECT CAST(at AS TEXT), yes, 1e300, -0.5, 3.0 FROM t"}`, `"rows":[["2024-02-03",1,1e+300,-0.5,3.0]]`},
	} {
		if got, err := call(t.Context(), s, step[0]); err != nil || !strings.Contains(got, step[1]) {
			t.Fatalf("%s: got %s, %v", step[0], got, err)
		}
	}
	if _, err := call(t.Context(), s, `{"sql":"SELECT at FROM t"}`); err == nil || !strings.Contains(err.Error(), "CAST(at AS TEXT)") {
		t.Fatalf("got %v", err)
	}
	if _, err := call(t.Context(), s, `{"sql":"SELECT 9e999"}`); err == nil || !strings.Contains(err.Error(), "no JSON form") {
		t.Fatalf("got %v", err)
	}
}
