package rig

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// roleVar names the role of a process made from the test binary; configVar carries its configuration as JSON.
const (
	roleVar   = "TROUPE_E2E_ROLE"
	configVar = "TROUPE_E2E_CONFIG"
)

// Process is a child that a test talks with line by line.
type Process struct {
	t     testing.TB
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan string // of its standard output; closed at its end
	ended chan struct{}
	once  sync.Once
	err   error // how it ended
}

// Spawn starts the test binary in a role, with a configuration that the role reads by Config. It is killed when the test ends.
func Spawn(t testing.TB, role string, config any) *Process {
	t.Helper()
	return SpawnBinary(t, os.Args[0], role, config)
}

// SpawnBinary is Spawn with another binary that knows the role.
func SpawnBinary(t testing.TB, binary, role string, config any) *Process {
	t.Helper()
	return spawn(t, exec.Command(binary), role, config)
}

// SpawnIn is Spawn in a network namespace, which needs root.
func SpawnIn(t testing.TB, namespace, role string, config any) *Process {
	t.Helper()
	return spawn(t, exec.Command("ip", "netns", "exec", namespace, os.Args[0]), role, config)
}

func spawn(t testing.TB, cmd *exec.Cmd, role string, config any) *Process {
	t.Helper()
	cfg, err := json.Marshal(config)
	require.NoError(t, err)
	cmd.Env = append(os.Environ(), roleVar+"="+role, configVar+"="+string(cfg))
	return Start(t, role, cmd)
}

// Start starts a command and reads its standard output. It is killed when the test ends.
func Start(t testing.TB, name string, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{t: t, name: name, cmd: cmd, lines: make(chan string, 1<<14), ended: make(chan struct{})}
	var err error
	p.stdin, err = cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	complaints := &pages{}
	cmd.Stderr = complaints
	require.NoError(t, cmd.Start())
	go p.read(out)
	t.Cleanup(func() {
		p.Kill()
		if text := complaints.String(); t.Failed() && text != "" {
			t.Logf("%s (pid %d) said:\n%s", name, p.PID(), text)
		}
	})
	return p
}

// read hands on the lines, then collects the process.
func (p *Process) read(out io.Reader) {
	scanner := bufio.NewScanner(out)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		p.lines <- scanner.Text()
	}
	close(p.lines)
	p.err = p.cmd.Wait()
	close(p.ended)
}

// PID returns the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Await returns the rest of the next line that begins with the prefix; lines before it are skipped.
func (p *Process) Await(prefix string) string {
	p.t.Helper()
	limit := time.After(Patience)
	for {
		select {
		case line, ok := <-p.lines:
			require.True(p.t, ok, "%s (pid %d) ended before it said %q", p.name, p.PID(), prefix)
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return strings.TrimSpace(rest)
			}
		case <-limit:
			require.FailNow(p.t, "waited in vain", "until %s (pid %d) says %q", p.name, p.PID(), prefix)
		}
	}
}

// Say writes a line to the process.
func (p *Process) Say(line string) {
	p.t.Helper()
	_, err := fmt.Fprintln(p.stdin, line)
	require.NoError(p.t, err)
}

// Signal sends a signal.
func (p *Process) Signal(s syscall.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(s))
}

// Freeze stops the process as if its machine stood still, and returns when it does; Thaw lets it go on.
func (p *Process) Freeze() {
	p.t.Helper()
	p.Signal(syscall.SIGSTOP)
	Until(p.t, "all threads of the process stand still", func() bool { return p.state() == 'T' })
}

// Thaw lets a frozen process go on.
func (p *Process) Thaw() { p.Signal(syscall.SIGCONT) }

// state is the process's state letter in /proc.
func (p *Process) state() byte {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return (rest + " ")[0]
}

// Kill ends the process by SIGKILL and returns when it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	p.wait()
}

// Finish asks the process to end, by the end of its input, and returns how it did.
func (p *Process) Finish() error {
	_ = p.stdin.Close()
	p.wait()
	return p.err
}

// wait returns when the process is gone. Lines that nobody took are dropped.
func (p *Process) wait() {
	for {
		select {
		case <-p.lines:
		case <-p.ended:
			p.once.Do(func() { _ = p.stdin.Close() })
			return
		}
	}
}

// Python runs a script with examples/python on its path. The interpreter is PYTHON's, or Debian's; without pyzmq the test is skipped.
func Python(t testing.TB, script string, args ...string) *Process {
	t.Helper()
	return PythonIn(t, "", script, args...)
}

// PythonIn is Python in a network namespace, which needs root; an empty name is this one.
func PythonIn(t testing.TB, namespace, script string, args ...string) *Process {
	t.Helper()
	python := os.Getenv("PYTHON")
	if python == "" {
		python = "/usr/bin/python3"
	}
	if out, err := exec.Command(python, "-c", "import zmq").CombinedOutput(); err != nil {
		t.Skipf("%s cannot import zmq, so nothing is said about Python: %v: %s (make setup installs it)", python, err, out)
	}
	_, here, _, _ := runtime.Caller(0)
	line := append([]string{python, "-B", script}, args...)
	if namespace != "" {
		line = append([]string{"ip", "netns", "exec", namespace}, line...)
	}
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+filepath.Join(filepath.Dir(here), "../../../../examples/python"))
	return Start(t, script, cmd)
}
