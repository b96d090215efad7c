package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/troupe-mq/troupe/examples/internal/crew"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/patterns/tasks"
)

// count counts with worker processes, some of which break, and compares.
func count(ctx context.Context, out io.Writer, root string, workers, most int) (err error) {
	files, err := sources(root, most)
	if err != nil {
		return err
	}
	broker, err := assigner.NewBroker(assigner.BrokerConfig{
		Clients: []string{"tcp://127.0.0.1:0"}, Workers: []string{"tcp://127.0.0.1:0"}, Logger: slog.New(slog.DiscardHandler), Silence: time.Second, Heartbeat: 300 * time.Millisecond,
	})
	if err != nil {
		return err
	}
	if err := broker.Start(ctx); err != nil {
		return err
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	defer func() { err = errors.Join(err, broker.Close(end)) }()
	all := crew.New()
	defer all.End()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for i := range workers {
		name := fmt.Sprint("w", i)
		if err := all.Start(name, os.Stderr, self, "-worker", broker.WorkerEndpoints()[0], "-name", name); err != nil {
			return err
		}
	}
	client, err := tasks.Dial(ctx, tasks.Config{Client: assigner.ClientConfig{Broker: broker.ClientEndpoints()[0], Logger: slog.New(slog.DiscardHandler)}, InFlight: 64})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close(end)) }()
	got, again, err := distribute(ctx, out, client, all, files)
	if err != nil {
		return err
	}
	return compare(out, got, files, again)
}

// distribute submits a task for each file, and breaks two workers in the middle.
func distribute(ctx context.Context, out io.Writer, client *tasks.Client, all *crew.Crew, files []string) (words, int, error) {
	began := time.Now()
	batch := client.Map(ctx, tasks.Spec{Service: "count", Retry: tasks.Retry{Most: 10}}, func(yield func([]byte) bool) {
		for _, f := range files {
			path, err := json.Marshal(f)
			if err != nil || !yield(path) {
				return
			}
		}
	})
	sum, over := make(words), 0
	for r := range batch.AsTheyCome(ctx) {
		if r.Err != nil {
			batch.Cancel()
			return nil, 0, r.Err
		}
		var w words
		if err := json.Unmarshal(r.Reply, &w); err != nil {
			return nil, 0, err
		}
		sum.add(w)
		switch over++; over {
		case len(files) / 4:
			fmt.Fprintf(out, "%5d files done: w0 is killed\n", over)
			if err := all.Signal("w0", syscall.SIGKILL); err != nil {
				return nil, 0, err
			}
		case len(files) / 2:
			fmt.Fprintf(out, "%5d files done: w1 is frozen\n", over)
			if err := all.Signal("w1", syscall.SIGSTOP); err != nil {
				return nil, 0, err
			}
		}
	}
	again := 0
	for _, h := range batch.Handles() {
		again += len(h.Attempts()) - 1
	}
	fmt.Fprintf(out, "%5d files done in %v, %d tasks were run again elsewhere\n", over, time.Since(began).Round(time.Millisecond), again)
	return sum, again, nil
}

// compare counts in this process, and says whether that is the same.
func compare(out io.Writer, got words, files []string, again int) error {
	want := make(words)
	for _, f := range files {
		w, err := countFile(f)
		if err != nil {
			return err
		}
		want.add(w)
	}
	if !maps.Equal(want, got) {
		return fmt.Errorf("the tasks have counted %d words, %d of them different; one process counts %d and %d: this is a defect", got.total(), len(got), want.total(), len(want))
	}
	fmt.Fprintf(out, "%d words, %d of them different; the most frequent: %s\n", got.total(), len(got), strings.Join(got.top(8), " "))
	fmt.Fprintln(out, "one process counts the same")
	if again == 0 {
		fmt.Fprintln(out, "(the workers that broke had nothing under way at that moment)")
	}
	return nil
}
