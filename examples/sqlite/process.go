package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// process is a worker process that the demo has started. Its methods are safe for concurrent use.
type process struct {
	lang   string
	pid    int
	gone   chan struct{} // closed at its end
	exit   error         // how it ended, once gone is closed
	killed bool          // by the demo; belongs to who kills it
	last   tail          // the end of what it said
}

// startProcess starts a worker. log gets what it says.
func startProcess(lang string, log io.Writer, program string, args ...string) (*process, error) {
	p := &process{lang: lang, gone: make(chan struct{})}
	cmd := exec.Command(program, args...)
	// A Ctrl-C in the terminal is the demo's, which stops the workers itself. If the demo is killed, the kernel kills them.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&p.last, log), io.MultiWriter(&p.last, log)
	started := make(chan error)
	go p.own(cmd, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("the %s worker cannot be started: %w", lang, err)
	}
	return p, nil
}

// own starts the process and waits for its end, all on one thread: Pdeathsig strikes when the thread that started a process ends.
func (p *process) own(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	p.pid = cmd.Process.Pid
	started <- nil
	p.exit = cmd.Wait()
	close(p.gone)
}

// freeze stops the process as SIGSTOP does, and returns when it stands still.
func (p *process) freeze() error {
	if err := unix.Kill(p.pid, unix.SIGSTOP); err != nil {
		return fmt.Errorf("stop process %d: %w", p.pid, err)
	}
	for {
		err := unix.Waitid(unix.P_PID, p.pid, nil, unix.WSTOPPED, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// kill ends the process as kill -9 does, and returns when it has ended.
func (p *process) kill() error {
	p.killed = true
	if err := unix.Kill(p.pid, unix.SIGKILL); err != nil {
		return fmt.Errorf("kill process %d: %w", p.pid, err)
	}
	<-p.gone
	return nil
}

// stop asks the process to end, as an operator does, and waits for it. It is killed when ctx ends first, which is an error, as any exit but a clean one.
func (p *process) stop(ctx context.Context) error {
	if p.killed {
		return nil
	}
	_ = unix.Kill(p.pid, unix.SIGTERM) // it may have ended by itself; how, is told below
	select {
	case <-p.gone:
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("the %s worker, process %d, did not end when it was asked to: %w", p.lang, p.pid, context.Cause(ctx)), p.kill())
	}
	if p.exit != nil {
		return p.ended()
	}
	return nil
}

// ended says how the process ended. Valid once gone is closed.
func (p *process) ended() error {
	how := "exit status 0"
	if p.exit != nil {
		how = p.exit.Error()
	}
	return fmt.Errorf("the %s worker, process %d, ended (%s): %s", p.lang, p.pid, how, p.last.String())
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 1000

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
	return strings.ToValidUTF8(string(bytes.TrimSpace(t.text)), "?")
}
