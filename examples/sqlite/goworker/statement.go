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

// query runs one statement on the calling thread and returns its rows. When ctx ends, SQLite interrupts it. It uses the driver's own rows:
// database/sql would close its rows on another thread when ctx ends.
func query(ctx context.Context, db *sqlite3.SQLiteConn, text string, args []any) ([][]any, error) {
	if second := behindFirst(text); second != "" {
		return nil, fmt.Errorf("there is more than one statement, the second one is %.40q: send one statement per call", second)
	}
	if empty(text) {
		return [][]any{}, nil // SQLite makes no statement of it, and the driver would run what is not there
	}
	prepared, err := db.Prepare(text)
	if err != nil {
		return nil, err
	}
	defer prepared.Close()
	if n := prepared.NumInput(); n != len(args) {
		return nil, fmt.Errorf(`the statement has %d parameters, "args" has %d values: send as many`, n, len(args))
	}
	values, err := bind(args)
	if err != nil {
		return nil, err
	}
	able, ok := prepared.(driver.StmtQueryContext)
	if !ok {
		return nil, fmt.Errorf("the driver's %T cannot be interrupted", prepared)
	}
	rows, err := able.QueryContext(ctx, values)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return collect(rows)
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
