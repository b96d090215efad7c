package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopDeadline is how long a child may take to end after SIGTERM.
const stopDeadline = 5 * time.Second

// process is one child. It is used by one goroutine.
type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan string   // of its standard output (and error, where it logs there)
	gone  chan struct{} // closed at its end
	exit  error         // how it ended, once gone is closed
	last  tail          // the end of what it said on standard error
}

// start starts a child. With merge its standard error is read with its standard output.
func start(merge bool, program string, args ...string) (*process, error) {
	p := &process{
		name:  filepath.Base(program),
		cmd:   exec.Command(program, args...),
		lines: make(chan string, 1024),
		gone:  make(chan struct{}),
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr = write, &p.last
	if merge {
		p.cmd.Stderr = write
	}
	if p.stdin, err = p.cmd.StdinPipe(); err == nil {
		err = p.cmd.Start()
	}
	write.Close()
	if err != nil {
		read.Close()
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	go p.read(read)
	return p, nil
}

// read hands on the lines until the child has ended. Lines that nobody wants do not hold the child up.
func (p *process) read(from *os.File) {
	defer close(p.lines)
	scan := bufio.NewScanner(from)
	for scan.Scan() {
		select {
		case p.lines <- scan.Text():
		default:
		}
	}
	from.Close()
	if p.exit = p.cmd.Wait(); p.exit == nil {
		p.exit = errClean
	}
	close(p.gone)
}

// line returns the next line of output. The error says how the child ended, with its last words.
func (p *process) line(ctx context.Context) (string, error) {
	select {
	case text, open := <-p.lines:
		if open {
			return text, nil
		}
		<-p.gone
		return "", fmt.Errorf("%s ended (%w): %s", p.name, p.exit, p.last.String())
	case <-ctx.Done():
		return "", fmt.Errorf("%s said nothing: %w: %s", p.name, context.Cause(ctx), p.last.String())
	}
}

// errClean is the end of a child that ended well.
var errClean = errors.New("exit status 0")

// ask writes a command to the child and reads its answer, one line of JSON.
func (p *process) ask(ctx context.Context, into any, format string, args ...any) error {
	if _, err := fmt.Fprintf(p.stdin, format+"\n", args...); err != nil && !errors.Is(err, syscall.EPIPE) {
		return fmt.Errorf("write to %s: %w", p.name, err)
	}
	return p.answer(ctx, into)
}

// answer reads one line of JSON.
func (p *process) answer(ctx context.Context, into any) error {
	text, err := p.line(ctx)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("%s answered %q: %w", p.name, text, err)
	}
	return nil
}

// leave closes the child's input and waits for its end; then it is stopped.
func (p *process) leave() error { return p.end(p.stdin.Close) }

// stop asks the child to end with SIGTERM, waits for it, and kills it when it takes too long, which is an error.
func (p *process) stop() error {
	return p.end(func() error { return p.cmd.Process.Signal(syscall.SIGTERM) })
}

func (p *process) end(ask func() error) error {
	if err := ask(); err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, os.ErrClosed) {
		return err
	}
	late := time.NewTimer(stopDeadline)
	defer late.Stop()
	defer p.stdin.Close()
	select {
	case <-p.gone:
		return nil
	case <-late.C:
	}
	err := p.cmd.Process.Kill()
	<-p.gone
	return errors.Join(fmt.Errorf("%s did not end within %v of being asked and was killed: %s", p.name, stopDeadline, p.last.String()), err)
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 2000

// Write keeps the last bytes.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	t.text = t.text[max(0, len(t.text)-tailSize):]
	return len(b), nil
}

// String returns the last words.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := bytes.TrimSpace(t.text); len(text) > 0 {
		return strings.ToValidUTF8(string(text), "?")
	}
	return "it gave no reason"
}
