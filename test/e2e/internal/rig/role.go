package rig

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// Role is what a process made from the test binary does. Its context ends when the test closes its input; it returns what went wrong.
type Role func(ctx context.Context, r *Stage) error

// Stage is a role's connection to its test.
type Stage struct {
	config []byte
	mu     sync.Mutex
	heard  chan string
}

// Main is TestMain: it runs the tests, which must leave no goroutine behind, or in a child the role it was made for.
func Main(m *testing.M, roles map[string]Role) {
	name := os.Getenv(roleVar)
	if name == "" {
		goleak.VerifyTestMain(m)
		return
	}
	role, ok := roles[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "no role %q in this test binary\n", name)
		os.Exit(2)
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	ctx, end := context.WithCancel(context.Background())
	s := &Stage{config: []byte(os.Getenv(configVar)), heard: make(chan string, 1024)}
	go s.listen(end)
	if err := role(ctx, s); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func (s *Stage) listen(end func()) {
	defer end()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		s.heard <- lines.Text()
	}
}

// Config reads the configuration that the test has given.
func (s *Stage) Config(into any) error {
	if err := json.Unmarshal(s.config, into); err != nil {
		return fmt.Errorf("rig: the role's configuration: %w", err)
	}
	return nil
}

// Say writes a line to the test.
func (s *Stage) Say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintf(os.Stdout, format+"\n", args...)
}

// Heard gives the lines that the test says.
func (s *Stage) Heard() <-chan string { return s.heard }
