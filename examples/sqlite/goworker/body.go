package main

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mattn/go-sqlite3"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// mostInput is how large a chunk may be, of which one is in memory.
const mostInput = 16 << 20

// check judges how the request and the body in parts behind it, of so many bytes, go together.
func (r *request) check(size int64) error {
	verb := strings.ToUpper(*r.SQL)
	switch {
	case r.Input == nil && size != 0:
		return errors.New(`a body in parts came, and the call does not say what to do with it: give "input", the bytes per chunk`)
	case r.Input == nil && r.Output && !strings.HasPrefix(verb, "SELECT") && !strings.HasPrefix(verb, "WITH"):
		return errors.New(`"output" with a statement that does not begin with SELECT or WITH: those have rows to send`)
	case r.Input == nil:
		return nil
	case r.Output:
		return errors.New(`"input" and "output" in one call: the one stores a body, the other sends one; leave one of them out`)
	case *r.Input < 1 || *r.Input > mostInput:
		return fmt.Errorf(`"input" is %d: give the bytes per chunk, 1 to %d`, *r.Input, mostInput)
	case !strings.HasPrefix(verb, "INSERT") && !strings.HasPrefix(verb, "REPLACE"):
		return errors.New(`"input" with a statement that does not begin with INSERT or REPLACE: those take chunks, each with its number`)
	}
	return nil
}

// stored is what has become of a body.
type stored struct {
	Chunks int64  `json:"chunks"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// store runs the INSERT once per chunk of the call's body, all or none of it.
func store(ctx context.Context, db *sqlite3.SQLiteConn, asked *request, c *assigner.Call) (*stored, error) {
	values, err := bind(asked.Args)
	if err != nil {
		return nil, err
	}
	st, err := prepare(db, *asked.SQL, len(values)+2)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	if _, err := query(ctx, db, "SAVEPOINT body", nil); err != nil {
		return nil, err
	}
	done, err := storeChunks(ctx, st, values, *asked.Input, c)
	if err == nil {
		_, err = query(ctx, db, "RELEASE body", nil)
	}
	if err == nil {
		return done, nil
	}
	// ROLLBACK fails where SQLite has rolled back the whole transaction, as it does when it interrupts an INSERT.
	if _, gone := query(context.Background(), db, "ROLLBACK TO body", nil); gone == nil {
		_, gone = query(context.Background(), db, "RELEASE body", nil)
		err = errors.Join(err, gone)
	}
	return nil, err
}

func storeChunks(ctx context.Context, st *statement, values []driver.NamedValue, size int64, c *assigner.Call) (*stored, error) {
	done, digest, chunk := &stored{}, sha256.New(), make([]byte, size)
	for {
		n, err := io.ReadFull(c.Input(), chunk) // waits for the client
		if errors.Is(err, io.EOF) {
			done.SHA256 = hex.EncodeToString(digest.Sum(nil))
			return done, ctx.Err()
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, err // the rest does not come
		}
		done.Chunks++
		done.Bytes += int64(n)
		digest.Write(chunk[:n])
		more := []driver.NamedValue{{Ordinal: len(values) + 1, Value: done.Chunks}, {Ordinal: len(values) + 2, Value: chunk[:n]}}
		if err := st.perform(ctx, append(values[:len(values):len(values)], more...)); err != nil {
			return nil, err
		}
		c.Progress(float64(done.Bytes)/float64(max(c.Size(), done.Bytes)), "") // the thread is not stuck
	}
}

// send runs the statement and sends the first column of each row, as the client reads it.
func (s *session) send(ctx context.Context, db *sqlite3.SQLiteConn, asked *request, c *assigner.Call) error {
	values, err := bind(asked.Args)
	if err != nil {
		return err
	}
	st, err := prepare(db, *asked.SQL, len(values))
	if err != nil {
		return err
	}
	defer st.Close()
	rows, err := st.run(ctx, values)
	if err != nil {
		return err
	}
	defer rows.Close()
	if len(rows.Columns()) == 0 {
		return errors.New(`"output" with a statement that has no rows: give a SELECT`)
	}
	head, err := json.Marshal(map[string]int{"thread": s.thread, "pid": os.Getpid()})
	if err != nil {
		return err
	}
	out, err := c.Output(-1, head)
	if err != nil {
		return err
	}
	return errors.Join(sendColumn(out, rows), out.Close())
}

func sendColumn(out io.Writer, rows driver.Rows) error {
	row := make([]driver.Value, len(rows.Columns()))
	for number := 1; ; number++ {
		err := rows.Next(row)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch v := row[0].(type) {
		case []byte:
			_, err = out.Write(v)
		case string:
			_, err = io.WriteString(out, v)
		default:
			err = fmt.Errorf(`row %d is neither BLOB nor text: select what is, or leave "output" out`, number)
		}
		if err != nil {
			return err
		}
	}
}
