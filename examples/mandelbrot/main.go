// Command mandelbrot draws the Mandelbrot set by tasks: tiles of very different cost, over workers in Go and in Python, of which one is killed and one is frozen in
// the middle. The picture is put together as tiles come, written as PNG, and compared with one that a single process draws.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/png"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/troupe-mq/troupe/examples/internal/crew"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/patterns/tasks"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mandelbrot:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

// options are the flags.
type options struct {
	worker, name, output string
	width, size, depth   int
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var o options
	flags := flag.NewFlagSet("mandelbrot", flag.ContinueOnError)
	flags.StringVar(&o.worker, "worker", "", "broker's endpoint: be a worker")
	flags.StringVar(&o.name, "name", "", "of the worker")
	flags.StringVar(&o.output, "output", "mandelbrot.png", "file for the picture")
	flags.IntVar(&o.width, "width", 720, "of the picture, in points")
	flags.IntVar(&o.size, "tile", 48, "edge of a tile, in points")
	flags.IntVar(&o.depth, "depth", 600, "steps until a point counts as near")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.width < 16 || o.size < 1 || o.depth < 1 || o.depth > 65535 {
		return fmt.Errorf("-width %d, -tile %d, -depth %d: at least 16, 1 and 1 are possible, and 65535 of depth", o.width, o.size, o.depth)
	}
	if o.worker != "" {
		return work(ctx, o)
	}
	return draw(ctx, o, out)
}

func work(ctx context.Context, o options) error {
	w, err := assigner.NewWorker(assigner.WorkerConfig{
		Broker: o.worker, Name: o.name, Slots: 1, Logger: slog.New(slog.DiscardHandler), Services: map[string]assigner.Service{"tile": {
			Threads: assigner.Goroutines,
			Handler: func(ctx context.Context, c *assigner.Call) ([]byte, error) {
				var t tile
				if err := c.Decode(&t); err != nil {
					return nil, err
				}
				return t.compute(ctx)
			},
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

// draw has the picture drawn, and compares it.
func draw(ctx context.Context, o options, out io.Writer) (err error) {
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
	workers := crew.New()
	defer workers.End()
	if err := hire(workers, broker.WorkerEndpoints()[0]); err != nil {
		return err
	}
	client, err := tasks.Dial(ctx, tasks.Config{Client: assigner.ClientConfig{Broker: broker.ClientEndpoints()[0], Logger: slog.New(slog.DiscardHandler)}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close(end)) }()
	picture, err := assemble(ctx, o, out, client, workers)
	if err != nil {
		return err
	}
	return check(ctx, o, out, picture)
}

// hire starts three workers in Go and one in Python.
func hire(workers *crew.Crew, endpoint string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, name := range []string{"go0", "go1", "go2"} {
		if err := workers.Start(name, os.Stderr, self, "-worker", endpoint, "-name", name); err != nil {
			return err
		}
	}
	_, here, _, _ := runtime.Caller(0)
	return workers.Start("python", io.Discard, "/usr/bin/python3", filepath.Join(filepath.Dir(here), "worker.py"), endpoint, "python")
}

// assemble puts the tiles together as they come, and breaks two workers in the middle.
func assemble(ctx context.Context, o options, out io.Writer, client *tasks.Client, workers *crew.Crew) (*image.RGBA, error) {
	all := tiles(o.width, o.width*2/3, o.size, o.depth)
	picture := image.NewRGBA(image.Rect(0, 0, o.width, o.width*2/3))
	began := time.Now()
	batch := client.Map(ctx, tasks.Spec{Service: "tile", Retry: tasks.Retry{Most: 10}}, func(yield func([]byte) bool) {
		for _, t := range all {
			if b, err := json.Marshal(t); err != nil || !yield(b) {
				return
			}
		}
	})
	over := 0
	for r := range batch.AsTheyCome(ctx) {
		if r.Err != nil {
			batch.Cancel()
			return nil, r.Err
		}
		t := all[r.Index]
		if len(r.Reply) != 2*t.W*t.H {
			return nil, fmt.Errorf("tile %d has %d bytes, not %d", r.Index, len(r.Reply), 2*t.W*t.H)
		}
		t.paint(picture, r.Reply)
		switch over++; over {
		case len(all) / 4:
			fmt.Fprintf(out, "%4d of %d tiles: go0 is killed\n", over, len(all))
			if err := workers.Signal("go0", syscall.SIGKILL); err != nil {
				return nil, err
			}
		case len(all) / 2:
			fmt.Fprintf(out, "%4d of %d tiles: go1 is frozen\n", over, len(all))
			if err := workers.Signal("go1", syscall.SIGSTOP); err != nil {
				return nil, err
			}
		}
	}
	by := make(map[string]int)
	again := 0
	for _, h := range batch.Handles() {
		by[h.Member()]++
		again += len(h.Attempts()) - 1
	}
	fmt.Fprintf(out, "%4d tiles in %v by %d workers, %d were done again elsewhere\n", over, time.Since(began).Round(time.Millisecond), len(by), again)
	return picture, nil
}

// check draws the picture in this process, and writes it when that is the same.
func check(ctx context.Context, o options, out io.Writer, picture *image.RGBA) error {
	alone := image.NewRGBA(picture.Rect)
	for _, t := range tiles(o.width, o.width*2/3, o.size, o.depth) {
		counts, err := t.compute(ctx)
		if err != nil {
			return err
		}
		t.paint(alone, counts)
	}
	if !bytes.Equal(alone.Pix, picture.Pix) {
		return errors.New("one process draws another picture: this is a defect")
	}
	f, err := os.Create(o.output)
	if err != nil {
		return err
	}
	if err := errors.Join(png.Encode(f, picture), f.Close()); err != nil {
		return err
	}
	fmt.Fprintf(out, "one process draws the same; %s has it\n", o.output)
	return nil
}
