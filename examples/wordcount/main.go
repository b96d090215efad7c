// Command wordcount counts the words in the sources of Go's standard library by tasks: one for each file, over several worker processes, of which one is killed and
// one is frozen in the middle. The result is compared with that of a single process.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "wordcount:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("wordcount", flag.ContinueOnError)
	worker := flags.String("worker", "", "broker's endpoint: be a worker")
	name := flags.String("name", "", "of the worker")
	workers := flags.Int("workers", 4, "worker processes")
	root := flags.String("root", standardLibrary(), "folder with the texts")
	most := flags.Int("files", 0, "count only so many files; 0: all")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *worker != "" {
		return work(ctx, *worker, *name)
	}
	if *workers < 3 {
		return errors.New("-workers must be at least 3: one is killed, one is frozen")
	}
	return count(ctx, out, *root, *workers, *most)
}

// work is a worker: a task is the path of a file, the reply its words as JSON.
func work(ctx context.Context, broker, name string) error {
	w, err := assigner.NewWorker(assigner.WorkerConfig{
		Broker: broker, Name: name, Slots: 2, Logger: slog.New(slog.DiscardHandler), Services: map[string]assigner.Service{"count": {
			Threads: assigner.Goroutines,
			Handler: assigner.Typed(func(_ context.Context, _ *assigner.Call, path string) (words, error) { return countFile(path) }),
		}},
	})
	if err != nil {
		return err
	}
	if err := w.Start(ctx); err != nil {
		return err
	}
	err = w.Wait(ctx)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, w.Close(end))
}
