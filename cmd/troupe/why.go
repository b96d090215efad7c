package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

func (a *app) whyCommand() *cobra.Command {
	t := &target{one: true}
	var most int
	cmd := &cobra.Command{
		Use: "why [WORKER|CLIENT|HIT]", Short: "Show why a worker, a client or a hit was given up, or is stuck or slow",
		Long: `Show the verdicts of a broker, the latest first: what was measured, with which instrument, against which limit, what was heard last, what was
done about it, and the setting that would change it. Name a worker, a client, or a hit by its handle; without a name all are shown.

A broker keeps the last 1024 of workers and clients, as many of hits, and some that say no more than that a call was slow.`,
		Example: `  troupe why w1
  troupe why 4e76cbc2a1000001 -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.askOnce(cmd, t, func(ctx context.Context, c *assigner.Client) error {
				r := machine.AdminRequest{Cmd: "why", About: strings.Join(args, ""), Limit: most}
				var report machine.WhyReport
				if err := administer(ctx, c, r, &report); err != nil {
					return err
				}
				return a.printWhys(report)
			})
		},
		ValidArgsFunction: a.completeFrom(t, workersAndHits),
	}
	t.add(cmd.Flags(), 10*time.Second, "the answer")
	cmd.Flags().IntVar(&most, "most", 20, "how many are shown, up to 1000")
	return cmd
}

func workersAndHits(ctx context.Context, c *assigner.Client) ([]string, error) {
	workers, err := workerNames(ctx, c)
	if err != nil {
		return nil, err
	}
	hits, err := hitHandles(ctx, c)
	return append(workers, hits...), err
}

func (a *app) printWhys(r machine.WhyReport) error {
	if a.json() {
		return a.printJSON(r)
	}
	writeWhys(a.out, r)
	if len(r.Records) == 0 {
		about := ""
		if r.About != "" {
			about = " about " + r.About
		}
		fmt.Fprintf(a.err, "no verdict%s is kept; `troupe worker list` and `troupe hit list` show who is there\n", about)
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(r.Counts)) {
		all = append(all, fmt.Sprintf("%s %d", name, r.Counts[name]))
	}
	if len(all) > 0 {
		fmt.Fprintf(a.err, "since the broker's start: %s; forgotten %d\n", strings.Join(all, ", "), r.Dropped)
	}
	if r.Starved > 0 {
		fmt.Fprintf(a.err, "the broker itself stood still %d times, for up to %s, and judged nobody for that\n", r.Starved, age(r.LateMS))
	}
	return nil
}
