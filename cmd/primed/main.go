// Command primed tells whether numbers are prime, over HTTP and in three stages of workers: parse, compute, format. Its point is work of very uneven cost.
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
	"runtime"
	"strings"
	"syscall"
)

// options are the flags.
type options struct {
	listen, netstring string
	workers           int
	simulate          int
	join, only        string
}

const about = `primed tells whether numbers are prime, in three stages of workers: parse, compute, format.

  primed                                        all in one process: http://127.0.0.1:8002/is_prime?possible_prime=32416190071, and a page at /
  primed --simulate 100000 --workers 2          no HTTP: 100,000 numbers through the stages, and how long that took
  primed --join tcp://127.0.0.1:5701 --stages compute    workers of one stage, for a broker and a troupe http of their own:
      troupe broker & troupe http --route 'GET /is_prime = parse > compute > format'

`

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "primed:", err)
		code := 1
		var u *usageError
		if errors.As(err, &u) {
			code = 2
		}
		stop()
		os.Exit(code) //nolint:gocritic // stop has been called
	}
}

// usageError is what is wrong with the command line.
type usageError struct{ error }

func run(ctx context.Context, args []string, out, talk io.Writer) error {
	o := options{}
	flags := flag.NewFlagSet("primed", flag.ContinueOnError)
	flags.SetOutput(talk)
	flags.Usage = func() {
		fmt.Fprint(talk, about)
		flags.PrintDefaults()
	}
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8002", "address for HTTP; port 0: a free one")
	flags.StringVar(&o.netstring, "netstring", "", "address for netstrings, each a number; empty: none")
	flags.IntVar(&o.workers, "workers", runtime.NumCPU(), "workers of each stage")
	flags.IntVar(&o.simulate, "simulate", 0, "send so many numbers through the stages, and end")
	flags.StringVar(&o.join, "join", "", "broker's endpoint for workers: only work for it")
	flags.StringVar(&o.only, "stages", "", "with --join: the stages to work for, with commas between them; empty: all")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return &usageError{err}
	}
	if err := o.check(flags.Args()); err != nil {
		return &usageError{err}
	}
	switch {
	case o.join != "":
		return work(ctx, o, talk)
	case o.simulate > 0:
		return simulate(ctx, o, out)
	}
	return serve(ctx, o, out, talk)
}

func (o *options) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("%q is no flag: see primed --help", rest[0])
	case o.workers < 1 || o.workers > 4096:
		return fmt.Errorf("--workers is %d: from 1 to 4096 are possible", o.workers)
	case o.simulate < 0:
		return fmt.Errorf("--simulate is %d: it may not be negative", o.simulate)
	case o.only != "" && o.join == "":
		return errors.New("--stages without --join: alone, primed works for all stages")
	}
	for s := range strings.SplitSeq(o.only, ",") {
		if s != "" && !contains([]string{"parse", "compute", "format"}, s) {
			return fmt.Errorf("--stages %s: there are parse, compute and format", s)
		}
	}
	return nil
}
