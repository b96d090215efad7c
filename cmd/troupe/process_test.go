package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/cmd/troupe/internal/settings"
)

// safety is how long a test waits for what must happen.
const safety = 30 * time.Second

// onThread0 runs f on a thread that lives as long as the tests.
var onThread0 func(f func() error) error

// process is the command, running.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *lines
	err   *lines
	gone  chan struct{}
}

// start runs the command with these variables set, as NAME=VALUE, and arguments behind them. It is killed at the end of the test if need be.
func start(t *testing.T, words ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0]), out: newLines(), err: newLines(), gone: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), asTroupe+"=1", clientsEnv+"=tcp://127.0.0.1:1", workersEnv+"=tcp://127.0.0.1:1", settings.ConfigVar+"=/dev/null")
	for len(words) > 0 && strings.HasPrefix(words[0], "TROUPE_") {
		p.cmd.Env, words = append(p.cmd.Env, words[0]), words[1:]
	}
	p.cmd.Args = append(p.cmd.Args, words...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdin, err := p.cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	stderr, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	p.stdin = stdin
	require.NoError(t, onThread0(p.cmd.Start))
	var readers sync.WaitGroup
	readers.Go(func() { p.out.read(stdout) })
	readers.Go(func() { p.err.read(stderr) })
	go func() {
		defer close(p.gone)
		readers.Wait()
		_ = p.cmd.Wait() // asked for in exit
	}()
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = p.cmd.Process.Kill()
		<-p.gone
	})
	return p
}

// say writes a line to the command.
func (p *process) say(line string) {
	p.t.Helper()
	_, err := io.WriteString(p.stdin, line+"\n")
	require.NoError(p.t, err)
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(s))
}

// exit waits for the end and returns the exit code.
func (p *process) exit() int {
	p.t.Helper()
	select {
	case <-p.gone:
	case <-time.After(safety):
		p.t.Fatalf("%v has not ended; it said:\n%s\n%s", p.cmd.Args[1:], p.out, p.err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// expect waits for the end with this exit code.
func (p *process) expect(code int) *process {
	p.t.Helper()
	require.Equal(p.t, code, p.exit(), "%v said:\n%s\n%s", p.cmd.Args[1:], p.out, p.err)
	return p
}

// troupe runs the command to its end, which must have this exit code. Its input is empty.
func troupe(t *testing.T, code int, words ...string) *process {
	t.Helper()
	p := start(t, words...)
	require.NoError(t, p.stdin.Close())
	return p.expect(code)
}

// read reads standard output as one JSON value.
func (p *process) read(into any) {
	p.t.Helper()
	require.NoError(p.t, json.Unmarshal([]byte(p.out.String()), into), "%v printed %s", p.cmd.Args[1:], p.out)
}

// lines are the lines of a stream, so far.
type lines struct {
	mu    sync.Mutex
	all   []string
	ended bool
	more  chan struct{} // closed when there is more
}

func newLines() *lines { return &lines{more: make(chan struct{})} }

func (l *lines) read(from io.Reader) {
	r := bufio.NewReader(from)
	for {
		line, err := r.ReadString('\n')
		l.mu.Lock()
		if line != "" {
			l.all = append(l.all, line)
		}
		l.ended = err != nil
		close(l.more)
		l.more = make(chan struct{})
		l.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// String returns all that was read.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "")
}

// await waits for a line that contains a text and returns it.
func (l *lines) await(t *testing.T, text string) string {
	t.Helper()
	line, err := l.find(text, time.After(safety))
	require.NoError(t, err, "waiting for %q; so far:\n%s", text, l)
	return line
}

func (l *lines) find(text string, late <-chan time.Time) (string, error) {
	for {
		l.mu.Lock()
		for _, line := range l.all {
			if strings.Contains(line, text) {
				l.mu.Unlock()
				return line, nil
			}
		}
		more, ended := l.more, l.ended
		l.mu.Unlock()
		if ended {
			return "", errors.New("the stream has ended")
		}
		select {
		case <-more:
		case <-late:
			return "", errors.New("it did not come")
		}
	}
}

// troupeIn is troupe with something on standard input.
func troupeIn(t *testing.T, code int, in string, words ...string) *process {
	t.Helper()
	p := start(t, words...)
	_, err := io.WriteString(p.stdin, in)
	require.NoError(t, err)
	require.NoError(t, p.stdin.Close())
	return p.expect(code)
}
