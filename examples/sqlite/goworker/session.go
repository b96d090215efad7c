package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// session is one hit: one connection, opened, used and closed on one and the same thread.
type session struct {
	conn    *sql.Conn
	thread  int   // the hit's
	changes int64 // SQLite's total_changes() after the last statement
}

// options are what a client may ask for when it opens a hit.
type options struct {
	BusyTimeout float64 `json:"busy_timeout_ms"` // how long a statement waits for another connection's lock
}

func openSession(db *sql.DB, o *assigner.Opening) (assigner.Session, error) {
	asked := options{BusyTimeout: 5000}
	if o.Session != nil {
		if err := json.Unmarshal(o.Session, &asked); err != nil {
			return nil, fmt.Errorf("the session's options cannot be read: %w: see the contract in README.md", err)
		}
	}
	// With a context that can end, database/sql would clean up behind it on goroutines of its own, and so on other threads. Calls do not
	// give it theirs either.
	conn, err := db.Conn(context.Background())
	if err != nil {
		return nil, err
	}
	s := &session{conn: conn, thread: o.Thread}
	if _, err := conn.ExecContext(context.Background(), fmt.Sprintf("PRAGMA busy_timeout = %d", int64(asked.BusyTimeout))); err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

// request is the body of a call, reply that of its answer.
type request struct {
	SQL    *string `json:"sql"`
	Args   []any   `json:"args"`
	Input  *int64  `json:"input"`  // store the body that follows in chunks of so many bytes, see body.go
	Output bool    `json:"output"` // send the first column of all rows in parts
}

type reply struct {
	Rows    [][]any `json:"rows"`
	Changes int64   `json:"changes"`
	Thread  int     `json:"thread"`
	PID     int     `json:"pid"`
	*stored
}

// Call runs one statement.
func (s *session) Call(ctx context.Context, c *assigner.Call) ([]byte, error) {
	asked, err := parse(c.Body())
	if err == nil {
		err = asked.check(c.Size())
	}
	if err != nil {
		return nil, err
	}
	answer := reply{PID: os.Getpid()}
	err = s.conn.Raw(func(raw any) error {
		db, ok := raw.(*sqlite3.SQLiteConn)
		if !ok {
			return fmt.Errorf("the driver's connection is a %T, this worker is written for SQLite's", raw)
		}
		err := s.carryOut(ctx, db, asked, c, &answer)
		changed, thread, seen := s.look(db)
		answer.Changes, answer.Thread = changed, thread
		return errors.Join(err, seen)
	})
	if err == nil {
		return json.Marshal(answer)
	}
	return nil, told(ctx, err)
}

func (s *session) carryOut(ctx context.Context, db *sqlite3.SQLiteConn, asked *request, c *assigner.Call, answer *reply) (err error) {
	switch {
	case asked.Input != nil:
		answer.Rows = [][]any{}
		answer.stored, err = store(ctx, db, asked, c)
	case asked.Output:
		err = s.send(ctx, db, asked, c)
	default:
		answer.Rows, err = query(ctx, db, *asked.SQL, asked.Args)
	}
	return err
}

// look returns how many rows have changed since the last look, and on which thread SQLite runs. It is an error if that is not the hit's.
func (s *session) look(db *sqlite3.SQLiteConn) (changed int64, thread int, err error) {
	rows, err := query(context.Background(), db, "SELECT total_changes(), os_thread()", nil)
	if err != nil {
		return 0, 0, err
	}
	total, _ := rows[0][0].(int64)
	tid, _ := rows[0][1].(int64)
	changed, s.changes = total-s.changes, total
	if int(tid) != s.thread || unix.Gettid() != s.thread {
		return 0, 0, fmt.Errorf("SQLite runs on thread %d and its caller on %d, but the hit has thread %d: this must not happen", tid, unix.Gettid(), s.thread)
	}
	return changed, s.thread, nil
}

// told is an error as the contract has it: SQLite's text, with its extended result code as why-record. One of a context stays itself.
func told(ctx context.Context, err error) error {
	var failed sqlite3.Error
	switch {
	case ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.As(err, &failed) && failed.Code == sqlite3.ErrInterrupt):
		return ctx.Err()
	case errors.As(err, &failed):
		return &assigner.ServiceError{Text: failed.Error(), Why: json.RawMessage(fmt.Sprintf(`{"sqlite":%d}`, int(failed.ExtendedCode)))}
	}
	return &assigner.ServiceError{Text: err.Error(), Why: json.RawMessage(`{"sqlite":0}`)}
}

// Close rolls back what was not committed and closes the connection.
func (s *session) Close() error { return s.conn.Close() }
