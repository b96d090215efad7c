package harness

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// roleVar names the role of a process made from the test binary; configVar carries its configuration as JSON.
const (
	roleVar   = "TROUPE_HARNESS_ROLE"
	configVar = "TROUPE_HARNESS_CONFIG"
)

// Role is what a process made from the test binary does. Its context ends when the test closes its input; it returns what went wrong. Its log is JSON.
type Role func(ctx context.Context, r *Stage) error

// Stage is a role's connection to its test.
type Stage struct {
	config []byte
	mu     sync.Mutex
	heard  chan string
}

// Roles lets a test binary play roles: TestMain calls it first. In a process that Spawn has made it plays the role and does not return.
func Roles(roles map[string]Role) {
	name := os.Getenv(roleVar)
	if name == "" {
		return
	}
	role, ok := roles[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "no role %q in this test binary\n", name)
		os.Exit(2)
	}
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
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
		return fmt.Errorf("harness: the role's configuration: %w", err)
	}
	return nil
}

// Say writes a line to the test. It is safe for concurrent use.
func (s *Stage) Say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintf(os.Stdout, format+"\n", args...)
}

// Heard gives the lines that the test says.
func (s *Stage) Heard() <-chan string { return s.heard }

// Spawn starts the test binary in a role, with a configuration that the role reads by Stage.Config. It is killed when the test ends. The name is the process's on the
// timeline; binary is another one that knows the role, empty for this one.
func Spawn(t testing.TB, name, binary, role string, config any) *Process {
	t.Helper()
	if binary == "" {
		binary = os.Args[0]
	}
	return Start(t, name, AsRole(t, exec.Command(binary), role, config))
}

// AsRole makes a command, which runs a test binary, play a role.
func AsRole(t testing.TB, cmd *exec.Cmd, role string, config any) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, roleVar+"="+role, configVar+"="+string(text))
	return cmd
}
