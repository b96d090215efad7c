// Package crew starts the workers of an example as processes, and breaks some of them.
package crew

import (
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// Crew is some processes that end with this one. It is safe for use by many goroutines.
type Crew struct {
	mu      sync.Mutex
	members map[string]*exec.Cmd
	ended   sync.WaitGroup
}

// New returns a crew without members.
func New() *Crew { return &Crew{members: make(map[string]*exec.Cmd)} }

// Start starts a member. What it says goes to talk.
func (c *Crew) Start(name string, talk io.Writer, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Stderr = talk
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	c.ended.Go(func() {
		runtime.LockOSThread() // the death of the thread that has started it would be taken for that of the parent
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	})
	if err := <-started; err != nil {
		return fmt.Errorf("worker %s cannot be started: %w", name, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members[name] = cmd
	return nil
}

// Signal sends a member a signal: SIGKILL to kill it, SIGSTOP to freeze it.
func (c *Crew) Signal(name string, s syscall.Signal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	cmd := c.members[name]
	if cmd == nil {
		return fmt.Errorf("there is no worker %s", name)
	}
	return cmd.Process.Signal(s)
}

// End ends all members, and waits for them.
func (c *Crew) End() {
	c.mu.Lock()
	for _, cmd := range c.members {
		_ = cmd.Process.Kill()
	}
	c.mu.Unlock()
	c.ended.Wait()
}
