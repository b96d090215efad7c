package e2e_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// journal is a file in which worker processes write down each call before they answer it, so that a test can tell afterwards which calls have run, though
// the processes are gone.
type journal struct{ file *os.File }

func openJournal(name string) (*journal, error) {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return &journal{f}, err
}

// service answers a call with its body and how many calls of the hit have run.
func (j *journal) service() assigner.Service {
	return assigner.Service{Open: func(context.Context, *assigner.Opening) (assigner.Session, error) { return &counted{j: j}, nil }}
}

type counted struct {
	j *journal
	n int
}

// Call is assigner.Session's. One write of one line is atomic.
func (c *counted) Call(_ context.Context, call *assigner.Call) ([]byte, error) {
	c.n++
	if _, err := c.j.file.WriteString(string(call.Body()) + "\n"); err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%s %d", call.Body(), c.n), nil
}

// Close is assigner.Session's.
func (c *counted) Close() error { return nil }

// readJournal returns how often each call has run.
func readJournal(name string) (map[string]int, error) {
	b, err := os.ReadFile(name)
	ran := make(map[string]int)
	for line := range strings.Lines(string(b)) {
		ran[strings.TrimSpace(line)]++
	}
	return ran, err
}
