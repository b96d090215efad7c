package main

import (
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/mattn/go-sqlite3"
)

// parse reads the body of a call.
func parse(body []byte) (*request, error) {
	var asked request
	read := json.NewDecoder(bytes.NewReader(body))
	read.UseNumber()
	if err := read.Decode(&asked); err != nil {
		return nil, fmt.Errorf(`the call cannot be read: %w: send {"sql": "...", "args": [...]}`, err)
	}
	if asked.SQL == nil {
		return nil, errors.New(`the call has no "sql": send {"sql": "...", "args": [...]}`)
	}
	return &asked, nil
}

// query runs one statement on the calling thread and returns its rows.
func query(ctx context.Context, db *sqlite3.SQLiteConn, text string, args []any) ([][]any, error) {
	if empty(text) {
		return [][]any{}, nil // SQLite makes no statement of it, and the driver would run what is not there
	}
	st, err := prepare(db, text, len(args))
	if err != nil {
		return nil, err
	}
	defer st.Close()
	values, err := bind(args)
	if err != nil {
		return nil, err
	}
	rows, err := st.run(ctx, values)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return collect(rows)
}

// statement is one that is prepared and can be run, also more than once.
type statement struct {
	driver.Stmt
	able driver.StmtQueryContext
}

// prepare prepares a text that has one statement with so many parameters.
func prepare(db *sqlite3.SQLiteConn, text string, parameters int) (*statement, error) {
	if second := behindFirst(text); second != "" {
		return nil, fmt.Errorf("there is more than one statement, the second one is %.40q: send one statement per call", second)
	}
	prepared, err := db.Prepare(text)
	if err != nil {
		return nil, err
	}
	able, ok := prepared.(driver.StmtQueryContext)
	switch n := prepared.NumInput(); {
	case !ok:
		err = fmt.Errorf("the driver's %T cannot be interrupted", prepared)
	case n != parameters:
		err = fmt.Errorf(`the statement has %d parameters, and %d values are there for them ("args", and with "input" a number and a chunk): send as many`, n, parameters)
	default:
		return &statement{prepared, able}, nil
	}
	prepared.Close()
	return nil, err
}

// run runs it on the calling thread; when ctx ends, SQLite interrupts it. The rows are the driver's own: database/sql would close its rows on another
// thread when ctx ends, and the driver's way to run a statement without rows runs it on another one if ctx can end.
func (s *statement) run(ctx context.Context, values []driver.NamedValue) (driver.Rows, error) {
	return s.able.QueryContext(ctx, values)
}

// perform runs it to its end, whatever rows it has.
func (s *statement) perform(ctx context.Context, values []driver.NamedValue) error {
	rows, err := s.run(ctx, values)
	if err != nil {
		return err
	}
	row := make([]driver.Value, len(rows.Columns()))
	for err == nil {
		err = rows.Next(row)
	}
	closed := rows.Close()
	if errors.Is(err, io.EOF) {
		return closed
	}
	return err
}

func collect(rows driver.Rows) ([][]any, error) {
	all := [][]any{}
	columns := rows.Columns()
	row := make([]driver.Value, len(columns))
	for {
		switch err := rows.Next(row); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		}
		out := make([]any, len(row))
		for i, v := range row {
			var err error
			if out[i], err = toJSON(columns[i], v); err != nil {
				return nil, err
			}
		}
		all = append(all, out)
	}
}
