// Command sqlite shows the main job on real input: database sessions over the network. Clients run interleaved transactions on one SQLite file through
// a worker in Python and one in Go; each hit is a connection on a thread of its own. A worker is killed in the middle, and at the end the tables are
// compared with what the clients know to be committed. README.md tells the story.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "sqlite:", err)
		os.Exit(1)
	}
}

// command runs the demo as its flags say. The error is nil only if every claim held.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cfg, format := Config{Log: io.Discard, Out: stdout}, ""
	flags := flag.NewFlagSet("sqlite", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&cfg.Clients, "clients", 20, "clients, each with a hit of its own; at least 16")
	flags.IntVar(&cfg.Transactions, "transactions", 8, "transactions per client and round; there are two rounds")
	flags.Uint64Var(&cfg.Seed, "seed", 1, "seed of the generated data and transfers")
	flags.StringVar(&cfg.Python, "python", "/usr/bin/python3", "Python with pyzmq")
	flags.BoolVar(&cfg.Keep, "keep", false, "keep the database file")
	flags.StringVar(&format, "o", "text", "output: text or json")
	verbose := flags.Bool("v", false, "more: every statement, and the logs of the broker and the workers (on standard error)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if format != "text" && format != "json" {
		return fmt.Errorf("-o is %q: use text or json", format)
	}
	if *verbose {
		cfg.Log = &sharedWriter{to: stderr}
	}
	if format == "json" {
		cfg.Out = io.Discard
	}
	report, err := run(ctx, cfg)
	if err == nil && format == "json" {
		write := json.NewEncoder(stdout)
		write.SetIndent("", " ")
		err = write.Encode(report)
	}
	if err != nil {
		return err
	}
	if len(report.Broken) > 0 {
		return fmt.Errorf("%d claims are broken", len(report.Broken))
	}
	return nil
}

// sharedWriter takes the lines of several loggers and processes, one after another.
type sharedWriter struct {
	mu sync.Mutex
	to io.Writer
}

// Write writes through.
func (w *sharedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(b)
}
