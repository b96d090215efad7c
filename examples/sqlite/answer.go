package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// answer is what the service replies to a statement.
type answer struct {
	Rows    [][]json.RawMessage `json:"rows"`
	Changes int64               `json:"changes"`
	Thread  int                 `json:"thread"`
	PID     int                 `json:"pid"`
	SHA256  string              `json:"sha256"` // of a body that was stored
}

// integers returns the first row, which must hold integers.
func (a *answer) integers() ([]int64, error) {
	if len(a.Rows) == 0 {
		return nil, errors.New("no row came where one was expected")
	}
	row := make([]int64, len(a.Rows[0]))
	for i, column := range a.Rows[0] {
		if err := json.Unmarshal(column, &row[i]); err != nil {
			return nil, fmt.Errorf("column %d is %s: %w", i, column, err)
		}
	}
	return row, nil
}

// saw compares the thread that ran the statement with the hit's, and with the threads that the kernel says the process has.
func (s *session) saw(a *answer) {
	s.row.Replies++
	if s.row.PID == 0 {
		s.row.PID = a.PID
		_, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", a.PID, s.row.Thread))
		s.row.Real = err == nil
	}
	if a.Thread == s.row.Thread && a.PID == s.row.PID {
		s.row.Same++
	}
}

// sqliteCode returns SQLite's extended result code, if the error is one of the service that has it.
func sqliteCode(err error) int {
	var told *assigner.Error
	var why struct {
		SQLite int `json:"sqlite"`
	}
	if errors.As(err, &told) && errors.Is(err, assigner.ErrService) && json.Unmarshal(told.Why, &why) == nil {
		return why.SQLite
	}
	return 0
}
