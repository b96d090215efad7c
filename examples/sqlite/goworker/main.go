// Command goworker offers database sessions in Go, under the contract of ../README.md: each hit is one connection of database/sql on a thread of
// its own. It is the twin of ../worker.py.
//
//	goworker DATABASE [ENDPOINT [SLOTS [DIRECT]]]
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

const usage = "usage: goworker DATABASE [ENDPOINT [SLOTS [DIRECT]]], by default tcp://127.0.0.1:5701, 16 slots, and no endpoint of its own for direct hits"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "goworker:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	endpoint, slots, direct := assigner.DefaultWorkers, 16, ""
	switch len(args) {
	case 4:
		direct = args[3]
		fallthrough
	case 3:
		n, err := strconv.Atoi(args[2])
		if err != nil {
			return fmt.Errorf("SLOTS is %q, not a number: %s", args[2], usage)
		}
		slots = n
		fallthrough
	case 2:
		endpoint = args[1]
	case 1:
	default:
		return errors.New(usage)
	}
	db, err := openDatabase(ctx, args[0])
	if err != nil {
		return err
	}
	defer db.Close()
	worker, err := assigner.NewWorker(assigner.WorkerConfig{
		Broker: endpoint, Slots: slots, DirectBind: direct, Key: os.Getenv("TROUPE_KEY"),
		Services: map[string]assigner.Service{"sqlite": {Open: func(_ context.Context, o *assigner.Opening) (assigner.Session, error) { return openSession(db, o) }}},
		Logger:   slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	return worker.Serve(ctx)
}
