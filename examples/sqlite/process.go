package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"

	"github.com/troupe-mq/troupe/supervision/process"
)

// worker is a worker process that the demo has started. If the demo is killed, the kernel kills it.
type worker struct {
	*process.Process
	lang   string
	killed bool // by the demo; belongs to who kills it
}

// startWorker starts a worker. log gets what it says. A Ctrl-C in the terminal is the demo's, which stops the workers itself.
func startWorker(lang string, log io.Writer, program string, args ...string) (*worker, error) {
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	p, err := process.Start(cmd, process.Config{Name: "the " + lang + " worker", Group: true})
	if err != nil {
		return nil, fmt.Errorf("the %s worker cannot be started: %w", lang, err)
	}
	return &worker{Process: p, lang: lang}, nil
}

// kill ends the process as kill -9 does, and returns when it has ended.
func (w *worker) kill() {
	w.killed = true
	w.Kill()
}

// stop asks the process to end, as an operator does, and waits for it. It is killed when ctx ends first, which is an error, as any exit but a clean one.
func (w *worker) stop(ctx context.Context) error {
	if w.killed {
		return nil
	}
	err := w.Stop(ctx)
	if w.Err() != nil {
		err = errors.Join(err, w.Ended())
	}
	return err
}
