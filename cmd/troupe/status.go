package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

func (a *app) statusCommand() *cobra.Command {
	t := &target{one: true}
	cmd := &cobra.Command{
		Use: "status", Short: "Show a broker's services and counters", Args: cobra.NoArgs,
		Long: `Show a broker's services and counters. Counters are since its start, but peers and messages_waiting, which are of now; docs/cli.md says what each of
them counts.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.askOnce(cmd, t, func(ctx context.Context, c *assigner.Client) error {
				var s machine.StatusReport
				if err := administer(ctx, c, machine.AdminRequest{Cmd: "status"}, &s); err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(s)
				}
				return a.printStatus(s)
			})
		},
	}
	t.add(cmd.Flags(), 10*time.Second, "the answer")
	return cmd
}

func (a *app) printStatus(s machine.StatusReport) error {
	state := "serving"
	if s.Draining {
		state = "draining"
	}
	fmt.Fprintf(a.out, "broker %s, %s, up %s: clients %d, workers %d, hits %d\n\n", cell(s.Broker), state, age(s.UpMS), s.Clients, s.Workers, s.Hits)
	if len(s.Services) > 0 {
		rows := make([][]string, len(s.Services))
		for i, row := range s.Services {
			rows[i] = []string{row.Name, strconv.Itoa(row.Workers), strconv.Itoa(row.Slots), strconv.Itoa(row.Max), strconv.Itoa(row.Used), strconv.Itoa(row.Waiting), strconv.FormatUint(row.Ended, 10), mean(row.HeldMS, row.Ended), mean(row.WaitedMS, row.Ended)}
		}
		if err := a.table("SERVICE WORKERS SLOTS MAX USED WAITING HITS HELD WAITED", rows); err != nil {
			return err
		}
		fmt.Fprintln(a.out)
	}
	if n := narrowest(s.Services); n != nil {
		fmt.Fprintf(a.out, "the narrowest is %s: %d wait, %d of %d slots are used: give it more slots, or more workers\n\n", cell(n.Name), n.Waiting, n.Used, n.Slots)
	}
	return a.printCounters(s)
}

// mean is an average of milliseconds.
func mean(ms float64, of uint64) string {
	if of == 0 {
		return "-"
	}
	return time.Duration(ms * float64(time.Millisecond)).Round(10 * time.Microsecond).String()
}

// narrowest returns the service whose slots are used up and for which most is waiting, measured in the time that its slots need for that; nil: nobody waits.
func narrowest(all []machine.ServiceRow) *machine.ServiceRow {
	var found *machine.ServiceRow
	worst := -1.0
	for i := range all {
		s := &all[i]
		if s.Waiting == 0 {
			continue
		}
		if backlog := float64(s.Waiting) * (s.HeldMS + 1e-3) / float64(max(s.Slots, 1)); backlog > worst {
			worst, found = backlog, s
		}
	}
	return found
}

// printCounters prints totals and counters, the refusals last.
func (a *app) printCounters(s machine.StatusReport) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	t := s.Totals
	fmt.Fprintf(w, "hits\t%d opened, %d ended, %d failed, %d crashed\n", t.Opened, t.Ended, t.Failed, t.Crashed)
	fmt.Fprintf(w, "opens\t%d have waited, %d expired\n", t.Queued, t.Expired)
	fmt.Fprintf(w, "workers lost\t%d\n", t.Lost)
	fmt.Fprintf(w, "zombies\t%d threads of workers that did not come back\n", s.Zombies)
	fmt.Fprintf(w, "hits resumed\t%d, %d given up because nobody did\n", t.Resumed, t.Abandoned)
	fmt.Fprintf(w, "slots\t%d grown, %d retired, %d taken by others first\n", t.Grown, t.Retired, t.Taken)
	if k := s.Access; k != nil {
		fmt.Fprintf(w, "no right\t%d clients, %d workers, %d opens, %d admins; %d peers revoked\n", k.Clients, k.Workers, k.Services, k.Admins, k.Revoked)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Counters)) {
		fmt.Fprintf(w, "%s\t%d\n", cell(name), s.Counters[name])
	}
	return w.Flush()
}
