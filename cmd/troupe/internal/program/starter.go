package program

import (
	"errors"
	"os/exec"
	"runtime"
	"syscall"
)

// Starter starts processes from one OS thread of its own. The kernel kills them when that thread ends, so they do not outlive the
// worker, however it ends; started from a hit's thread they would be bound to that one. Its methods are safe for concurrent use.
type Starter struct {
	jobs chan func()
	quit chan struct{}
	done chan struct{}
}

// NewStarter returns a running Starter.
func NewStarter() *Starter {
	s := &Starter{jobs: make(chan func()), quit: make(chan struct{}), done: make(chan struct{})}
	go s.serve()
	return s
}

func (s *Starter) serve() {
	runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
	defer close(s.done)
	for {
		select {
		case job := <-s.jobs:
			job()
		case <-s.quit:
			return
		}
	}
}

// Close ends the thread, and with it all programs that still run.
func (s *Starter) Close() {
	close(s.quit)
	<-s.done
}

var errStopping = errors.New("the worker stops")

// start starts a command in a process group of its own.
func (s *Starter) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	select {
	case s.jobs <- func() { started <- cmd.Start() }:
		return <-started
	case <-s.done:
		return errStopping
	}
}
