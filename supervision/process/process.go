package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// Config says how a child is run. The zero value runs it in its parent's process group with an empty input.
type Config struct {
	Name  string // of the child in errors; default: its program's
	Input bool   // it has a pipe for its input, which Say and CloseInput write to and close
	Lines bool   // its standard output is taken line by line, see Line; instead of cmd.Stdout
	Merge bool   // with Lines, its standard error is taken line by line, too
	// Group makes the child the leader of a process group of its own: a Ctrl-C in the terminal is not for it then.
	Group bool
	// Family makes it a Group whose other processes are killed when the child has ended.
	Family bool
	// Bare gives the child cmd.Stdout and cmd.Stderr as they are, with nobody between: Last is empty.
	Bare bool
}

// Process is a child. Its methods are safe for concurrent use.
type Process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *Lines
	last  Tail
	kin   bool // its process group ends with it
	gone  chan struct{}
	err   error // how it ended, once gone is closed
}

// outputGrace is how long what a child has said is read after its end, if others hold its output open.
const outputGrace = time.Second

// Start starts a command. What cmd.Stdout and cmd.Stderr are set to gets what it says; the end of its standard error is kept too, see Last. The caller ends it by
// Kill, Stop or Finish; if the caller's process ends first, the kernel kills the child.
func Start(cmd *exec.Cmd, cfg Config) (*Process, error) {
	p := &Process{name: cfg.Name, cmd: cmd, kin: cfg.Family, gone: make(chan struct{})}
	if p.name == "" {
		p.name = filepath.Base(cmd.Path)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: cfg.Group || cfg.Family, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = outputGrace
	if cfg.Input {
		var err error
		if p.stdin, err = cmd.StdinPipe(); err != nil {
			return nil, fmt.Errorf("process: the input of %s: %w", p.name, err)
		}
	}
	p.listen(cfg)
	started := make(chan error, 1)
	go p.own(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("process: start %s: %w", p.name, err)
	}
	return p, nil
}

// listen says where the output goes.
func (p *Process) listen(cfg Config) {
	if cfg.Lines {
		p.out = NewLines()
		p.cmd.Stdout = p.out
	}
	switch {
	case cfg.Lines && cfg.Merge:
		p.cmd.Stdout = io.MultiWriter(&p.last, p.out)
		p.cmd.Stderr = p.cmd.Stdout // one pipe, so that lines stay whole
	case cfg.Bare:
	case p.cmd.Stderr != nil:
		p.cmd.Stderr = io.MultiWriter(&p.last, p.cmd.Stderr)
	default:
		p.cmd.Stderr = &p.last
	}
}

// own starts the child and waits for its end, all on one thread.
func (p *Process) own(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	if p.kin {
		p.endFamily()
	}
	err = p.cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it has ended well; somebody else holds its output
	}
	p.err = err
	if p.out != nil {
		p.out.End()
	}
	close(p.gone)
}

// Name returns what the child is called in errors.
func (p *Process) Name() string { return p.name }

// PID returns the child's id. After its end another process may have it.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended and its output is read.
func (p *Process) Done() <-chan struct{} { return p.gone }

// Err returns how the child ended, nil where that was with exit status 0. It is valid once Done is closed.
func (p *Process) Err() error { return p.err }

// Last returns the end of what the child has said on its standard error.
func (p *Process) Last() string { return p.last.String() }

// Ended says how the child ended, with its last words. It is valid once Done is closed.
func (p *Process) Ended() error {
	how := "exit status 0"
	if p.err != nil {
		how = p.err.Error()
	}
	text := fmt.Sprintf("%s (process %d) ended: %s", p.name, p.PID(), how)
	if last := p.Last(); last != "" {
		text += ": " + last
	}
	return errors.New(text)
}

// Say writes a line to the child, which has Input. A child that has ended hears nothing, which is no error: its end is.
func (p *Process) Say(line string) error {
	if _, err := io.WriteString(p.stdin, line+"\n"); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("process: write to %s: %w", p.name, err)
	}
	return nil
}

// CloseInput ends the child's input.
func (p *Process) CloseInput() {
	if p.stdin != nil {
		_ = p.stdin.Close() // it may be closed already
	}
}

// Line returns the next line of the child's standard output, which has Lines. At its end the error is that of Ended, else that of ctx, with its last words.
func (p *Process) Line(ctx context.Context) (string, error) {
	text, err := p.out.Next(ctx)
	switch {
	case err == nil:
		return text, nil
	case errors.Is(err, io.EOF):
		<-p.gone
		return "", p.Ended()
	}
	return "", fmt.Errorf("%s (process %d) said nothing more: %w: %s", p.name, p.PID(), err, p.Last())
}
