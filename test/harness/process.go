package harness

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/troupe-mq/troupe/supervision/process"
)

// Process is a child that a test talks with line by line. It is killed when the test ends. Its methods fail the test when they fail; they are safe for
// concurrent use but for Await.
type Process struct {
	*process.Process
	t        testing.TB
	timeline *Timeline
}

// Start starts a command and takes its standard output line by line. Its log, on standard error, is shown if the test fails; verdicts in it are on the timeline if it is
// JSON, as `troupe --log-format json` writes it.
func Start(t testing.TB, name string, cmd *exec.Cmd) *Process {
	t.Helper()
	l := TimelineOf(t)
	said := &pages{}
	cmd.Stderr = io.MultiWriter(said, &ear{timeline: l, who: name})
	child, err := process.Start(cmd, process.Config{Name: name, Input: true, Lines: true})
	if err != nil {
		t.Fatal(err)
	}
	l.Note(Started, name, "process %d: %s", child.PID(), strings.Join(cmd.Args, " "))
	p := &Process{Process: child, t: t, timeline: l}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		<-child.Done()
		how := "exit status 0"
		if err := child.Err(); err != nil {
			how = err.Error()
		}
		l.Note(Ended, name, "process %d: %s", child.PID(), how)
	}()
	t.Cleanup(func() {
		child.Kill()
		<-watched
		if text := said.String(); t.Failed() && text != "" {
			t.Logf("%s (pid %d) said:\n%s", name, child.PID(), text)
		}
	})
	return p
}

// Await returns the rest of the next line that begins with the prefix; lines before it are skipped.
func (p *Process) Await(prefix string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	for {
		line, err := p.Line(ctx)
		if err != nil {
			p.t.Fatalf("waited in vain until %s (pid %d) says %q: %v", p.Name(), p.PID(), prefix, err)
		}
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			return strings.TrimSpace(rest)
		}
	}
}

// Say writes a line to the process.
func (p *Process) Say(line string) {
	p.t.Helper()
	if err := p.Process.Say(line); err != nil {
		p.t.Fatal(err)
	}
}

// Signal sends a signal.
func (p *Process) Signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// Freeze stops the process as if its machine stood still, and returns when all its threads do; Thaw lets it go on.
func (p *Process) Freeze() {
	p.t.Helper()
	p.timeline.Note(Fault, p.Name(), "freeze process %d", p.PID())
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := p.Process.Freeze(ctx); err != nil {
		p.t.Fatal(err)
	}
}

// Thaw lets a frozen process go on.
func (p *Process) Thaw() {
	p.t.Helper()
	p.timeline.Note(Mended, p.Name(), "thaw process %d", p.PID())
	if err := p.Process.Thaw(); err != nil {
		p.t.Fatal(err)
	}
}

// Kill ends the process by SIGKILL and returns when it is gone.
func (p *Process) Kill() {
	select {
	case <-p.Done():
	default:
		p.timeline.Note(Fault, p.Name(), "kill process %d", p.PID())
	}
	p.Process.Kill()
}

// Finish asks the process to end, by the end of its input, and returns how it did.
func (p *Process) Finish() error {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	return errors.Join(p.Process.Finish(ctx), p.Err())
}
