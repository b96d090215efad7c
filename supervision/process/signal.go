package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Signal sends a signal. The error is os.ErrProcessDone where the child has ended.
func (p *Process) Signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("process: signal %v to %s (process %d): %w", s, p.name, p.PID(), err)
	}
	return nil
}

// standing is how often Freeze looks whether the child stands still yet.
const standing = time.Millisecond

// Freeze stops the child as SIGSTOP does, and returns when all its threads stand still.
func (p *Process) Freeze(ctx context.Context) error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	look := time.NewTicker(standing)
	defer look.Stop()
	for !p.still() {
		select {
		case <-look.C:
		case <-p.gone:
			return p.Ended()
		case <-ctx.Done():
			return fmt.Errorf("process: %s (process %d) does not stand still: %w", p.name, p.PID(), context.Cause(ctx))
		}
	}
	return nil
}

// still reports whether all threads are stopped (proc_pid_stat(5), the third field).
func (p *Process) still() bool {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.PID()))
	if err != nil || len(files) == 0 {
		return false
	}
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue // the thread has ended
		}
		if at := state(stat); at != 'T' && at != 't' {
			return false
		}
	}
	return true
}

// Thaw lets a frozen child go on.
func (p *Process) Thaw() error { return p.Signal(syscall.SIGCONT) }

// Kill ends the child as SIGKILL does, and returns when it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.gone
	p.CloseInput()
}

// Stop asks the child to end, by SIGTERM, and waits for it until ctx ends: then it is killed, which is an error. How it ended is Err's.
func (p *Process) Stop(ctx context.Context) error {
	_ = p.Signal(syscall.SIGTERM) // it may have ended by itself
	return p.await(ctx)
}

// Finish asks the child to end, by the end of its input, and waits as Stop does.
func (p *Process) Finish(ctx context.Context) error {
	p.CloseInput()
	return p.await(ctx)
}

func (p *Process) await(ctx context.Context) error {
	defer p.CloseInput()
	select {
	case <-p.gone:
		return nil
	case <-ctx.Done():
	}
	p.Kill()
	return fmt.Errorf("process: %s (process %d) did not end when it was asked to and was killed: %w: %s", p.name, p.PID(), context.Cause(ctx), p.Last())
}
