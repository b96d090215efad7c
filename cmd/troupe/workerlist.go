package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

func (a *app) workerListCommand() *cobra.Command {
	t := &target{one: true}
	cmd := &cobra.Command{
		Use: "list", Short: "List the workers of a broker", Args: cobra.NoArgs,
		Long: "List the workers that are registered at a broker. It asks at the endpoint for clients, which is another one than the worker's. CHECKED is how long ago its transport was looked at, WHY the last verdict about it or one of its hits; `troupe why` tells more.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.askOnce(cmd, t, func(ctx context.Context, c *assigner.Client) error {
				var page workerPage
				if err := administer(ctx, c, machine.AdminRequest{Cmd: "worker.list"}, &page); err != nil {
					return err
				}
				return a.printWorkers(page)
			})
		},
	}
	t.add(cmd.Flags(), 10*time.Second, "the answer")
	return cmd
}

func (a *app) printWorkers(page workerPage) error {
	if a.json() {
		return a.printJSON(page)
	}
	if len(page.Workers) == 0 {
		fmt.Fprintln(a.err, "no worker is registered; `troupe worker` starts one")
		return nil
	}
	rows := make([][]string, len(page.Workers))
	for i, w := range page.Workers {
		rows[i] = []string{
			w.Name, workerState(w.State, w.Zombies), slotsOf(w.Used, w.Slots, w.Max), w.Threads, w.Lang, w.Host, strconv.Itoa(w.PID),
			strconv.FormatUint(w.Served, 10), age(w.AgeMS), age(w.Checked), strings.Join(w.Services, ","), labels(w.Labels), w.Why,
		}
	}
	return a.table("WORKER STATE SLOTS THREADS LANG HOST PID HITS AGE CHECKED SERVICES LABELS WHY", rows)
}

// labels shows labels by name.
func labels(all map[string]string) string {
	parts := make([]string, 0, len(all))
	for _, k := range slices.Sorted(maps.Keys(all)) {
		parts = append(parts, k+"="+all[k])
	}
	return strings.Join(parts, ",")
}

// workerState shows a worker's state, and how many of its threads did not come back.
func workerState(state string, zombies int) string {
	if zombies == 0 {
		return state
	}
	return fmt.Sprintf("%s, %d hung", state, zombies)
}

// slotsOf shows used and present slots, and how far they grow where they do.
func slotsOf(used, slots, most int) string {
	text := strconv.Itoa(used) + "/" + strconv.Itoa(slots)
	if most > slots {
		text += " of " + strconv.Itoa(most)
	}
	return text
}
