// Command twin is Troupe's side of the Go benchmarks: an echo worker and a load client on patterns/assigner.
//
//	twin worker ENDPOINT SLOTS goroutine|thread
//	twin client ENDPOINT CALLS SIZE WARM RUN
//	twin tasks ENDPOINT CALLS SIZE WARM RUN
//	twin all ENDPOINT TIMES
//	twin idle ENDPOINT COUNT
//	twin bulk ENDPOINT BYTES routed|direct
//	twin spread HITS ENDPOINT...
//	twin member NUMBER RUNDIR LISTEN PEERS|-
//	twin inquire MEMBERS TIMES RUNDIR...
//	twin flood ENDPOINT COUNT SIZE
//	twin survey ENDPOINT COUNT
//	twin stages SLOTS ENDPOINT
//	twin web
//	twin browse URL CONNECTIONS WARM RUN
//	twin proxy | publish SIZE | subscribe ENDPOINT COUNT WARM RUN | push SIZE | relay VENTILATOR | pull VENTILATOR WARM RUN
//
// The client opens one hit for every call that it keeps under way. Durations are Go's, as 300ms.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/bench/pump"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "twin:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if is, err := patterns(ctx, args); is {
		return err
	}
	switch {
	case len(args) == 4 && args[0] == "worker":
		return work(ctx, args[1], args[2], args[3])
	case len(args) == 6 && args[0] == "client":
		return load(ctx, args[1], args[2:])
	case len(args) == 3 && args[0] == "idle":
		return idle(ctx, args[1], args[2])
	case len(args) == 6 && args[0] == "tasks":
		return submit(ctx, args[1], args[2:])
	case len(args) == 3 && args[0] == "all":
		return all(ctx, args[1], args[2])
	case len(args) == 4 && args[0] == "bulk":
		return bulk(ctx, args[1], args[2], args[3])
	case len(args) == 5 && args[0] == "member":
		return member(ctx, args[1:])
	case len(args) > 3 && args[0] == "inquire":
		return inquire(ctx, args[1:])
	case len(args) == 4 && args[0] == "flood":
		return flood(ctx, args[1], args[2], args[3])
	case len(args) == 3 && args[0] == "survey":
		return survey(ctx, args[1], args[2])
	case len(args) == 3 && args[0] == "stages":
		return stageWork(ctx, args[2], args[1])
	case len(args) == 1 && args[0] == "web":
		return plainWeb(ctx)
	case len(args) == 5 && args[0] == "browse":
		return browse(ctx, args[1:])
	case len(args) > 2 && args[0] == "spread":
		return spread(ctx, args[1], args[2:])
	}
	return errors.New("usage: twin worker ENDPOINT SLOTS goroutine|thread | twin client ENDPOINT CALLS SIZE WARM RUN | twin tasks ENDPOINT CALLS SIZE WARM RUN | twin all ENDPOINT TIMES | twin idle ENDPOINT COUNT | twin bulk ENDPOINT BYTES routed|direct | twin spread HITS ENDPOINT...")
}

func echo(_ context.Context, c *assigner.Call) ([]byte, error) { return c.Body(), nil }

func work(ctx context.Context, endpoint, slots, kind string) error {
	count, err := strconv.Atoi(slots)
	if err != nil {
		return fmt.Errorf("SLOTS: %w", err)
	}
	threads := assigner.Goroutines
	if kind == "thread" {
		threads = assigner.Pinned
	}
	return serve(ctx, assigner.WorkerConfig{
		Broker:     endpoint,
		Slots:      count,
		DirectBind: "tcp://127.0.0.1:0",
		Services:   map[string]assigner.Service{"echo": {Threads: threads, Handler: echo}, "sink": {Threads: threads, Handler: sink}},
	})
}

// serve is a worker that says "ready" when its broker has welcomed it.
func serve(ctx context.Context, cfg assigner.WorkerConfig) error {
	w, err := assigner.NewWorker(cfg)
	if err != nil {
		return err
	}
	go func() {
		select {
		case <-w.Welcomed():
			fmt.Println("ready")
		case <-ctx.Done():
		}
	}()
	return w.Serve(ctx)
}

func load(ctx context.Context, endpoint string, args []string) error {
	o, err := pump.ParseOptions(args)
	if err != nil {
		return err
	}
	cl, err := assigner.Dial(ctx, assigner.ClientConfig{Broker: endpoint})
	if err != nil {
		return err
	}
	hits := make([]*assigner.Hit, o.Lanes)
	for i := range hits {
		if hits[i], err = cl.Open(ctx, "echo"); err != nil {
			return err
		}
	}
	result, err := pump.Run(ctx, o, func(ctx context.Context, lane int, body []byte) ([]byte, error) {
		return hits[lane].Call(ctx, body)
	})
	if err != nil {
		return err
	}
	for _, h := range hits {
		if err := h.Close(ctx); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}
