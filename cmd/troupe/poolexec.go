package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/patterns/pool"
	child "github.com/troupe-mq/troupe/supervision/process"
)

func contextWithout(cmd *cobra.Command, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(cmd.Context()), limit)
}

// echoBack is what a member without a command answers.
func echoBack(_ context.Context, q *pool.Query) ([]byte, error) { return q.Body(), nil }

// piece is how much of a command's output goes in one part of an answer.
const piece = 32 << 10

// execute answers questions by runs of a command.
func (a *app) execute(command string) pool.Handler {
	return func(ctx context.Context, q *pool.Query) ([]byte, error) {
		cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
		cmd.Stdin = bytes.NewReader(q.Body())
		cmd.Env = append(os.Environ(), "TROUPE_QUESTION="+q.ID())
		last := &child.Tail{}
		cmd.Stderr = last
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
		cmd.WaitDelay = time.Second
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			return nil, fmt.Errorf("the command of --exec cannot be started: %w", err)
		}
		failed := sendAll(out, q)
		if err := cmd.Wait(); err != nil {
			return nil, fmt.Errorf("the command of --exec has failed: %w: %s", err, last.String())
		}
		return nil, failed
	}
}

func sendAll(from io.Reader, q *pool.Query) error {
	b := make([]byte, piece)
	for {
		n, err := io.ReadAtLeast(from, b, 1)
		if n > 0 {
			q.Send(b[:n])
		}
		switch err {
		case nil:
		case io.EOF:
			return nil
		default:
			return fmt.Errorf("the output of the command of --exec cannot be read: %w", err)
		}
	}
}
