package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/troupe-mq/troupe/supervision/process"
)

// stopDeadline is how long a child may take to end after SIGTERM.
const stopDeadline = 5 * time.Second

// child is one program that is measured, or measures.
type child struct{ *process.Process }

// start starts a child. With merge its standard error is read with its standard output.
func start(merge bool, program string, args ...string) (*child, error) {
	return startWith(nil, merge, program, args...)
}

// startWith starts a child that finds more in its environment. What it starts itself ends with it.
func startWith(env []string, merge bool, program string, args ...string) (*child, error) {
	cmd := exec.Command(program, args...)
	cmd.Env = append(cmd.Environ(), env...)
	p, err := process.Start(cmd, process.Config{Input: true, Lines: true, Merge: merge, Family: true})
	if err != nil {
		return nil, err
	}
	return &child{p}, nil
}

// line returns the next line of output. The error says how the child ended, with its last words.
func (c *child) line(ctx context.Context) (string, error) { return c.Line(ctx) }

// ask writes a command to the child and reads its answer, one line of JSON.
func (c *child) ask(ctx context.Context, into any, format string, args ...any) error {
	if err := c.Say(fmt.Sprintf(format, args...)); err != nil {
		return err
	}
	return c.answer(ctx, into)
}

// answer reads one line of JSON.
func (c *child) answer(ctx context.Context, into any) error {
	text, err := c.Line(ctx)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("%s answered %q: %w", c.Name(), text, err)
	}
	return nil
}

// leave closes the child's input and waits for its end; then it is stopped.
func (c *child) leave() error { return within(stopDeadline, c.Finish) }

// stop asks the child to end with SIGTERM, waits for it, and kills it when it takes too long, which is an error.
func (c *child) stop() error { return within(stopDeadline, c.Stop) }

func within(d time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), d, errors.New("not within "+d.String()))
	defer cancel()
	return do(ctx)
}
