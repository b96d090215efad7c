package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/cmd/troupe/internal/demo"
	"github.com/troupe-mq/troupe/cmd/troupe/internal/load"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

type benchFlags struct {
	target
	load.Config
	size        size
	connections int
	self        bool
	direct      bool
	threads     choice
	profile     string
}

func (a *app) benchCommand() *cobra.Command {
	f := &benchFlags{size: 32, threads: oneOf("pinned", "shared")}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure calls over many hits, and verify every answer",
		Long: `Open hits, keep calls under way on them, and measure: calls per second, and the time that the fastest half, 99 and 99.9 percent of
calls stay below. Every answer is compared with its call. Ctrl-C ends the measurement early.

The service must answer with the body, as echo of ` + "`troupe worker`" + ` does, and have slots for all hits. With --self broker and worker are
started in this process.`,
		Example: `  troupe bench --self
  troupe bench --hits 1000 --window 512 --size 1KiB --duration 10s`,
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.bench(cmd, f) },
	}
	flags := cmd.Flags()
	f.add(flags, 30*time.Second, "the opening of all hits")
	flags.StringVar(&f.Service, "service", "echo", "service to call")
	flags.IntVar(&f.Hits, "hits", 64, "hits open at the same time")
	flags.IntVar(&f.Window, "window", 64, "calls under way at the same time")
	flags.Var(&f.size, "size", "bytes of a body")
	flags.DurationVar(&f.Warm, "warm", 500*time.Millisecond, "time before the measurement")
	flags.DurationVar(&f.Duration, "duration", 5*time.Second, "time of the measurement")
	flags.IntVar(&f.connections, "connections", 1, "connections that the hits are spread over")
	flags.BoolVar(&f.self, "self", false, "start broker and worker in this process")
	flags.BoolVar(&f.direct, "direct", false, "send the calls to the workers themselves, past the broker")
	flags.Var(&f.threads, "threads", "of the worker of --self: pinned or shared")
	flags.StringVar(&f.profile, "cpuprofile", "", "write a processor profile to this file")
	_ = flags.MarkHidden("cpuprofile") // it exists
	a.complete(cmd, "service", a.completeFrom(&f.target, serviceNames))
	return cmd
}

func (f *benchFlags) check(namesBroker bool) error {
	f.Size = int(f.size)
	if f.direct {
		f.Route = assigner.Direct
	}
	switch {
	case f.Hits < 1 || f.Window < 1 || f.connections < 1:
		return fmt.Errorf("--hits is %d, --window is %d, --connections is %d: each starts at 1", f.Hits, f.Window, f.connections)
	case f.Size < load.MinSize:
		return fmt.Errorf("--size is %d: a body needs %d bytes to be told from all others", f.Size, load.MinSize)
	case f.Warm < 0 || f.Duration <= 0:
		return fmt.Errorf("--warm is %v and --duration is %v: measure for longer than nothing, as in 5s", f.Warm, f.Duration)
	case f.self && f.Hits > wire.MaxSlots:
		return fmt.Errorf("--hits is %d with --self: its one worker has at most %d slots", f.Hits, wire.MaxSlots)
	case f.self && namesBroker:
		return errors.New("--self with --broker: --self starts a broker of its own: leave one of the two out")
	}
	return nil
}

func (a *app) bench(cmd *cobra.Command, f *benchFlags) (err error) {
	if err := f.check(a.typed("broker")); err != nil {
		return usage(err)
	}
	stopProfile, err := profile(f.profile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopProfile()) }()
	if f.self {
		stop, err := a.startSelf(cmd.Context(), f)
		defer func() { _ = stop() }()
		if err != nil {
			return err
		}
	}
	return a.ask(cmd, &f.target, func(ctx context.Context, c *assigner.Client) error { return a.measure(ctx, f, c) })
}

// measure opens the hits over the client and as many more as were asked for, makes the calls and prints the result.
func (a *app) measure(ctx context.Context, f *benchFlags, first *assigner.Client) (err error) {
	if err := enoughSlots(ctx, first, f); err != nil {
		return err
	}
	clients := []*assigner.Client{first}
	silent := slog.New(slog.DiscardHandler)
	for len(clients) < f.connections {
		cfg, err := f.config(silent)
		if err != nil {
			return usage(err)
		}
		c, err := assigner.Dial(ctx, cfg)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, hangUp(ctx, c)) }()
		clients = append(clients, c)
	}
	fmt.Fprintf(a.err, "opening %d hits of %s\n", f.Hits, f.Service)
	limited, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	hits, err := load.Open(limited, clients, f.Config)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.err, "calling for %v\n", f.Warm+f.Duration)
	r := load.Run(ctx, hits, f.Config)
	if err := a.printResult(r); err != nil {
		return err
	}
	switch {
	case r.Wrong > 0 || r.Failed > 0:
		return fmt.Errorf("%d answers were wrong and %d calls failed, the first: %s", r.Wrong, r.Failed, r.First)
	case r.Calls == 0:
		return incomplete(errors.New("no call was answered in the measured time: measure longer, with --duration"))
	}
	return nil
}

// enoughSlots spares us the wait for slots that are not there. A broker that does not tell is believed to have them.
func enoughSlots(ctx context.Context, c *assigner.Client, f *benchFlags) error {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	var s machine.StatusReport
	if f.self || administer(ctx, c, machine.AdminRequest{Cmd: "status"}, &s) != nil {
		return nil
	}
	for _, row := range s.Services {
		if free := row.Slots - row.Used; row.Name == f.Service && free < f.Hits {
			return fmt.Errorf("%s has %d free slots, and %d hits are wanted: ask for fewer with --hits, or start workers with more --slots", cell(f.Service), free, f.Hits)
		}
	}
	return nil
}

func (a *app) printResult(r load.Result) error {
	if a.json() {
		return a.printJSON(r)
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(w, "calls\t%d in %.2f s, %d B each, over %d hits, %d under way\n", r.Calls, r.Seconds, r.Size, r.Hits, r.Window)
	fmt.Fprintf(w, "rate\t%.0f calls/s\n", r.Rate)
	fmt.Fprintf(w, "time\tp50 %.0f us, p99 %.0f us, p99.9 %.0f us, max %.0f us\n", r.P50, r.P99, r.P999, r.Most)
	fmt.Fprintf(w, "answers\t%d wrong, %d failed\n", r.Wrong, r.Failed)
	return w.Flush()
}

// startSelf starts a broker and a worker with a slot for every hit, and points the target at them.
func (a *app) startSelf(ctx context.Context, f *benchFlags) (stop func() error, err error) {
	var stops []func(context.Context) error
	stop = func() error {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
		defer cancel()
		var errs []error
		for i := len(stops) - 1; i >= 0; i-- {
			errs = append(errs, stops[i](end))
		}
		return errors.Join(errs...)
	}
	silent := slog.New(slog.DiscardHandler)
	free := []string{"tcp://127.0.0.1:0"}
	b, err := assigner.NewBroker(assigner.BrokerConfig{Clients: free, Workers: free, Logger: silent, System: newSystem(silent)})
	if err != nil {
		return stop, err
	}
	if err := b.Start(ctx); err != nil {
		return stop, err
	}
	stops = append(stops, b.Close)
	threads := assigner.Pinned
	if f.threads.String() == "shared" {
		threads = assigner.Goroutines
	}
	w, err := assigner.NewWorker(assigner.WorkerConfig{DirectBind: free[0], Broker: b.WorkerEndpoints()[0], Slots: f.Hits, Services: demo.Services(threads, false), Logger: silent, System: newSystem(silent)})
	if err != nil {
		return stop, err
	}
	if err := w.Start(ctx); err != nil {
		return stop, err
	}
	stops = append(stops, w.Close)
	f.brokers, f.key = b.ClientEndpoints(), ""
	return stop, nil
}
