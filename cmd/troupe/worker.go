package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/supervision/notify"
)

func (a *app) workerCommand() *cobra.Command {
	f := &workerFlags{threads: oneOf("pinned", "shared"), framing: oneOf("lines", "blocks"), repair: oneOf("default", "tell", "fail", "restart")}
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Run a worker: demo services, or a program for each hit",
		Long: `Run a worker. It offers the demo services, or with --exec a service of your own: for each hit the command is started by /bin/sh -c,
gets every call on its standard input, answers on its standard output, and ends when its input ends.

  --framing lines    a call is a line, its reply is a line
  --framing blocks   4 bytes with the length (big endian), then as many bytes; a reply whose length has
                     the highest bit set is the text of an error

The program finds TROUPE_SERVICE, TROUPE_HIT, TROUPE_THREAD and TROUPE_SESSION (the client's JSON) in its environment. A call that is
cancelled or out of time interrupts it (SIGINT): it may answer and go on. One that ends before its input does has crashed: its hit
ends, and the client is told how. What it says on standard error is passed on.

With --supervised the worker is the child of a small supervisor that starts it again when it crashes, is killed, hangs or stands still: see
"troupe help supervise", which does the same for a program in any language.

SIGTERM or Ctrl-C makes the worker take no new hits and wait for the open ones, as long as --drain says; a second one stops it at once.

The demo services:
` + describeDemos(),
		Example: `  troupe worker
  troupe worker --service echo --service thread --slots 64 --broker tcp://127.0.0.1:5701
  troupe worker --supervised --max-restarts 10 --restart-window 5m
  troupe worker --service upper --exec 'while read -r line; do echo "$line" | tr a-z A-Z; done'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.supervised {
				return a.superviseWorker(cmd, f)
			}
			return a.worker(cmd.Context(), f)
		},
	}
	f.add(cmd.Flags())
	a.checks["worker"] = func() error {
		_, err := f.config(a)
		return err
	}
	cmd.AddCommand(a.workerListCommand(), a.workerAliveCommand())
	a.complete(cmd, "service", cobra.FixedCompletions(describedDemos(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) worker(ctx context.Context, f *workerFlags) (err error) {
	cfg, err := f.config(a)
	if err != nil {
		return usage(err)
	}
	stopProfile, err := profile(f.profile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopProfile()) }()
	stopPrograms := f.programs(a, &cfg)
	defer stopPrograms()
	signals := watchInterrupts(ctx)
	defer signals.ignore()
	cfg.Watch.Exit = os.Exit
	parent := underWatch(&cfg.Watch)
	w, err := assigner.NewWorker(cfg)
	if err != nil {
		return usage(err) // it has only looked at the configuration
	}
	if err := w.Start(ctx); err != nil {
		return err
	}
	failed := a.serveHits(signals, w, cfg, parent)
	parent.Stopping()
	if failed == nil {
		failed = a.drainWorker(signals, w, f.drain)
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit(signals, cfg.Stop))
	defer cancel()
	return errors.Join(failed, w.Close(end))
}

// closeLimit is how long sessions that are to end may take for it.
func closeLimit(signals *interrupts, stop time.Duration) time.Duration {
	if signals.stop.Err() != nil {
		return time.Second
	}
	return stop + stopLimit
}

// patience is how long a worker waits for its broker before it says that it does.
const patience = 2 * time.Second

// serveHits returns at the first interrupt, or when the worker cannot go on.
func (a *app) serveHits(signals *interrupts, w *assigner.Worker, cfg assigner.WorkerConfig, parent *notify.Teller) error {
	brokers := strings.Join(cfg.Brokers, " and ")
	ended := make(chan error, 1)
	go func() { ended <- w.Wait(signals.drain) }()
	late := time.NewTimer(patience)
	defer late.Stop()
	for welcomed := w.Welcomed(); ; {
		select {
		case err := <-ended:
			return err
		case <-late.C:
			if why := w.Refusal(); why != "" {
				fmt.Fprintf(a.err, "%s lets this worker not in yet, still trying: %s: `troupe doctor --broker %s` says more\n", brokers, why, cfg.Brokers[0])
				continue
			}
			fmt.Fprintf(a.err, "no broker answers at %s yet, still trying: is `troupe broker` running?\n", brokers)
		case <-welcomed:
			late.Stop()
			welcomed = nil
			parent.Ready()
			if err := a.introduce(w, cfg); err != nil {
				return err
			}
		}
	}
}

// introduce tells what the worker offers, and where.
func (a *app) introduce(w *assigner.Worker, cfg assigner.WorkerConfig) error {
	services := slices.Sorted(maps.Keys(cfg.Services))
	threads := "pinned"
	for _, s := range cfg.Services {
		if s.Threads == assigner.Goroutines {
			threads = "shared"
		}
	}
	if a.json() {
		return json.NewEncoder(a.out).Encode(map[string]any{
			"worker": w.Name(), "pid": os.Getpid(), "broker": strings.Join(cfg.Brokers, ","), "services": services,
			"slots": cfg.Slots, "threads": threads,
		})
	}
	t := tabwriter.NewWriter(a.out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(t, "worker\t%s\nbroker\t%s\nservices\t%s\nslots\t%d (threads %s)\n", w.Name(), strings.Join(cfg.Brokers, " "), strings.Join(services, " "), cfg.Slots, threads)
	return t.Flush()
}

// drainWorker waits for the open hits, until limit or the second interrupt.
func (a *app) drainWorker(signals *interrupts, w *assigner.Worker, limit time.Duration) error {
	open := w.Busy()
	if open > 0 && limit > 0 {
		a.drains(open, limit)
	}
	ctx, cancel := context.WithTimeout(signals.stop, limit)
	defer cancel()
	if w.Drain(ctx) == nil {
		if open > 0 {
			a.drained()
		}
		return nil
	}
	if open = w.Busy(); open == 0 || limit == 0 {
		return nil
	}
	return leftOpen(signals, open, limit, "worker-gone")
}
