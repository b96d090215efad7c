package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

// drainPace is how often a drain that waits asks how far it has come.
const drainPace = 200 * time.Millisecond

func (a *app) drainCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "drain", Short: "Let a worker or a broker take no new hits, and wait for the open ones", Args: cobra.NoArgs, RunE: needsCommand}
	worker, moves := &target{one: true}, []string(nil)
	w := &cobra.Command{
		Use: "worker NAME", Short: "Let a worker take no new hits from this broker", Args: cobra.ExactArgs(1),
		Long: "Let a worker take no new hits from this broker, and wait until the open ones have ended. It stays registered and can then be stopped, or goes to another broker with --to. There is no way back but to start it again.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.askOnce(cmd, worker, func(ctx context.Context, c *assigner.Client) error {
				return a.drain(ctx, c, machine.AdminRequest{About: args[0], WorkersTo: moves})
			})
		},
		ValidArgsFunction: a.completeFrom(worker, workerNames),
	}
	worker.add(w.Flags(), time.Minute, "the open hits")
	w.Flags().StringSliceVar(&moves, "to", nil, "`ENDPOINT` for workers of another broker, where it goes when its hits have ended; of several it chooses one")
	broker, clientsTo, workersTo := &target{one: true}, []string(nil), []string(nil)
	b := &cobra.Command{
		Use: "broker", Short: "Let a broker take no new hits", Args: cobra.NoArgs,
		Long: "Let a broker take no new hits and no new workers, and wait until the open hits have ended. Clients that know several brokers open at the others; --clients-to and --workers-to tell those that do not where to go. There is no way back but to start it again.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.askOnce(cmd, broker, func(ctx context.Context, c *assigner.Client) error {
				return a.drain(ctx, c, machine.AdminRequest{ClientsTo: clientsTo, WorkersTo: workersTo})
			})
		},
	}
	broker.add(b.Flags(), time.Minute, "the open hits")
	b.Flags().StringSliceVar(&clientsTo, "clients-to", nil, "`ENDPOINT` for clients of another broker, where they open their hits from now on")
	b.Flags().StringSliceVar(&workersTo, "workers-to", nil, "`ENDPOINT` for workers of another broker, where they go when their hits have ended; of several each chooses one")
	cmd.AddCommand(w, b)
	return cmd
}

// drain asks for it, and shows how far it has come until nothing is open.
func (a *app) drain(ctx context.Context, c *assigner.Client, ask machine.AdminRequest) error {
	for _, to := range slices.Concat(ask.ClientsTo, ask.WorkersTo) {
		if err := zmqsock.CheckEndpoint("connect", to); err != nil {
			return err
		}
	}
	ask.Cmd = "drain"
	shown, moves := -1, len(ask.WorkersTo) > 0 && ask.About != ""
	for {
		var r machine.DrainReport
		switch err := administer(ctx, c, ask, &r); {
		case err != nil && errors.Is(err, errRefused) && shown > 0 && moves:
			r.Draining = ask.About // it has moved meanwhile
		case err != nil:
			return err
		}
		ask.ClientsTo, ask.WorkersTo = nil, nil // they are told once
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
