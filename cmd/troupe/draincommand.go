package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

// drainPace is how often a drain that waits asks how far it has come.
const drainPace = 200 * time.Millisecond

func (a *app) drainCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "drain", Short: "Let a worker or a broker take no new hits, and wait for the open ones", Args: cobra.NoArgs, RunE: needsCommand}
	worker := &target{one: true}
	w := &cobra.Command{
		Use: "worker NAME", Short: "Let a worker take no new hits from this broker", Args: cobra.ExactArgs(1),
		Long: "Let a worker take no new hits from this broker, and wait until the open ones have ended. It stays registered and can then be stopped. There is no way back but to start it again.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.askOnce(cmd, worker, func(ctx context.Context, c *assigner.Client) error { return a.drain(ctx, c, args[0]) })
		},
		ValidArgsFunction: a.completeFrom(worker, workerNames),
	}
	worker.add(w.Flags(), time.Minute, "the open hits")
	broker := &target{one: true}
	b := &cobra.Command{
		Use: "broker", Short: "Let a broker take no new hits", Args: cobra.NoArgs,
		Long: "Let a broker take no new hits and no new workers, and wait until the open hits have ended. Clients that know several brokers open at the others. There is no way back but to start it again.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.askOnce(cmd, broker, func(ctx context.Context, c *assigner.Client) error { return a.drain(ctx, c, "") })
		},
	}
	broker.add(b.Flags(), time.Minute, "the open hits")
	cmd.AddCommand(w, b)
	return cmd
}

// drain asks for it, and shows how far it has come until nothing is open.
func (a *app) drain(ctx context.Context, c *assigner.Client, name string) error {
	shown := -1
	for {
		var r machine.DrainReport
		if err := administer(ctx, c, machine.AdminRequest{Cmd: "drain", About: name}, &r); err != nil {
			return err
		}
		if r.Hits != shown && r.Hits > 0 {
			fmt.Fprintf(a.err, "draining %s: %s open\n", cell(r.Draining), are(r.Hits))
		}
		if shown = r.Hits; shown == 0 {
			if a.json() {
				return a.printJSON(r)
			}
			fmt.Fprintf(a.out, "drained %s\n", cell(r.Draining))
			return nil
		}
		select {
		case <-time.After(drainPace):
		case <-ctx.Done():
			return incomplete(fmt.Errorf("draining %s: %s still open: it goes on draining; wait with more --timeout, or end them with `troupe hit kill`", cell(r.Draining), are(r.Hits)))
		}
	}
}
