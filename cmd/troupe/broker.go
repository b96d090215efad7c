package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

// stopLimit is how long a server may take to stop once it is not to wait for anybody any more.
const stopLimit = 5 * time.Second

func (a *app) brokerCommand() *cobra.Command {
	f := &brokerFlags{cfg: assigner.DefaultBrokerConfig(), admin: oneOf("auto", "on", "off")}
	f.maxBody, f.window, f.maxKept = size(f.cfg.MaxBody), size(f.cfg.Window), size(f.cfg.MaxKept)
	f.moveHit, f.moveAll = size(f.cfg.Repair.MaxHit), size(f.cfg.Repair.MaxAll)
	f.keepMemory = size(f.cfg.Tasks.Memory)
	cmd := &cobra.Command{
		Use:   "broker",
		Short: "Run a broker: it gives hits to workers and passes their calls",
		Long: `Run a broker. It prints its name and endpoints on standard output as soon as they are bound.

SIGTERM or Ctrl-C makes it take no new hits and wait for the open ones, as long as --drain says; a second one stops it at once.`,
		Example: `  troupe broker
  troupe broker --client tcp://127.0.0.1:0 --worker ipc:///run/user/1000/workers.sock -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.broker(cmd.Context(), f) },
	}
	f.add(cmd.Flags())
	a.checks["broker"] = func() error {
		cfg, err := f.config(a)
		if err == nil {
			err = cfg.Validate()
		}
		return err
	}
	return cmd
}

func (a *app) broker(ctx context.Context, f *brokerFlags) (err error) {
	cfg, err := f.config(a)
	if err != nil {
		return usage(err)
	}
	stopProfile, err := profile(f.profile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopProfile()) }()
	f.tune()
	signals := watchInterrupts(ctx)
	defer signals.ignore()
	cfg.Watch.Exit = os.Exit
	parent := underWatch(&cfg.Watch)
	b, err := assigner.NewBroker(cfg)
	if err != nil {
		return usage(err) // it has only looked at the configuration
	}
	if err := b.Start(ctx); err != nil {
		return err
	}
	if cfg.Keys != "" {
		defer a.reloadKeys(ctx, b)()
	}
	failed := a.announce(b, cfg)
	if failed == nil {
		parent.Ready()
		failed = b.Wait(signals.drain)
	}
	parent.Stopping()
	if failed == nil {
		failed = a.drainBroker(signals, b, f.drain)
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	return errors.Join(failed, b.Close(end))
}

// announce tells where the broker listens, and how to go on.
func (a *app) announce(b *assigner.Broker, cfg assigner.BrokerConfig) error {
	clients, workers := b.ClientEndpoints(), b.WorkerEndpoints()
	if a.json() {
		return json.NewEncoder(a.out).Encode(map[string]any{"broker": b.Name(), "pid": os.Getpid(), "clients": clients, "workers": workers})
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(w, "broker\t%s\n", b.Name())
	for _, ep := range clients {
		fmt.Fprintf(w, "client\t%s\n", ep)
	}
	for _, ep := range workers {
		fmt.Fprintf(w, "worker\t%s\n", ep)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	key := ""
	if cfg.Keys != "" {
		key = " --key FILE"
		fmt.Fprintf(a.err, "only keys come in: troupe keys add NAME --client SERVICE --worker SERVICE --keys %s\n", cfg.Keys)
	}
	fmt.Fprintf(a.err, "next: troupe worker --broker %s%s\n", workers[0], key)
	fmt.Fprintf(a.err, "then: troupe call --broker %s%s upper hello\n", clients[0], key)
	return nil
}

// drainBroker waits for the open hits, until limit or the second interrupt.
func (a *app) drainBroker(signals *interrupts, b *assigner.Broker, limit time.Duration) error {
	open := openHits(signals.stop, b)
	if open == 0 || limit == 0 {
		return nil
	}
	a.drains(open, limit)
	ctx, cancel := context.WithTimeout(signals.stop, limit)
	defer cancel()
	if b.Drain(ctx) == nil {
		a.drained()
		return nil
	}
	if open = openHits(context.WithoutCancel(ctx), b); open == 0 {
		return nil
	}
	return leftOpen(signals, open, limit, "broker-gone")
}

// openHits asks the broker how many hits are open; 0 if it does not say.
func openHits(ctx context.Context, b *assigner.Broker) int {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	report, _ := b.Administer(ctx, machine.AdminRequest{Cmd: "status"})
	status, _ := report.(machine.StatusReport)
	return status.Hits
}
