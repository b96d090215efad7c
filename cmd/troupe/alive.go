package main

import (
	"context"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

func (a *app) hitAliveCommand() *cobra.Command {
	return a.aliveCommand(hitHandles, &cobra.Command{
		Use: "alive HIT", Short: "Tell whether both sides of a hit live, and whether it gets on",
		Long: `Tell of a hit, named by its handle or the beginning of it, whether its worker and its client are alive, which call is running and for how long,
and how long ago its thread gave a sign (an answer, a report of progress). The broker answers by itself: a busy worker is alive, that it does not get
on is what PROGRESS tells.

The exit code is 1 when there is no such hit.`,
	}, func(ctx context.Context, c *assigner.Client, name string) error {
		hits, err := allHits(ctx, c)
		if err != nil {
			return err
		}
		row, err := find(hits, name)
		if err != nil {
			return err
		}
		var h machine.HitAlive
		if err := administer(ctx, c, machine.AdminRequest{Cmd: "hit.alive", Hit: row.Hit}, &h); err != nil {
			return err
		}
		return a.printHitAlive(h)
	})
}

// aliveCommand completes a command that asks the broker once, about what its one argument names.
func (a *app) aliveCommand(names func(context.Context, *assigner.Client) ([]string, error), cmd *cobra.Command, ask func(context.Context, *assigner.Client, string) error) *cobra.Command {
	t := &target{one: true}
	cmd.Args, cmd.ValidArgsFunction = cobra.ExactArgs(1), a.completeFrom(t, names)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.askOnce(cmd, t, func(ctx context.Context, c *assigner.Client) error { return ask(ctx, c, args[0]) })
	}
	t.add(cmd.Flags(), 10*time.Second, "the answer")
	return cmd
}

func (a *app) printHitAlive(h machine.HitAlive) error {
	if a.json() {
		return a.printJSON(h)
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "hit\t%s, %s, %s\n", h.Hit, cell(h.Service), cell(h.Worker.State))
	fmt.Fprintf(w, "worker\t%s %s\n", cell(h.WorkerName), aliveWords(h.Worker))
	fmt.Fprintf(w, "client\t%s %s\n", cell(h.ClientName), aliveWords(h.Client))
	fmt.Fprintf(w, "running\t%s\n", runningWords(h.Worker))
	fmt.Fprintf(w, "progress\t%s ago\n", age(h.Worker.ProgressMS))
	return w.Flush()
}

func aliveWords(v wire.VitalsInfo) string {
	if !v.Alive {
		return "is gone: " + cell(v.By)
	}
	return "is alive: a silence of " + age(v.WithinMS) + " would have been noticed"
}

func runningWords(v wire.VitalsInfo) string {
	if v.Running == 0 {
		return "nothing"
	}
	return fmt.Sprintf("call %d for %s, %d wait behind it", v.Running, age(v.RunningMS), v.Queued)
}

func (a *app) workerAliveCommand() *cobra.Command {
	return a.aliveCommand(workerNames, &cobra.Command{
		Use: "alive WORKER", Short: "Tell whether a worker lives, and whether its hits get on",
		Long: `Tell of a worker, by its name, whether it is alive, and of each of its hits which call is running and how long ago its thread gave a sign. The
broker answers by itself: a worker whose code is busy is alive.

The exit code is 1 when no worker has this name.`,
	}, func(ctx context.Context, c *assigner.Client, name string) error {
		var w machine.WorkerAlive
		if err := administer(ctx, c, machine.AdminRequest{Cmd: "worker.alive", Worker: name}, &w); err != nil {
			return err
		}
		return a.printWorkerAlive(w)
	})
}

func (a *app) printWorkerAlive(w machine.WorkerAlive) error {
	if a.json() {
		return a.printJSON(w)
	}
	sign := ""
	if w.ProgressMS >= 0 {
		sign = ", the last sign of its hits came " + age(w.ProgressMS) + " ago"
	}
	fmt.Fprintf(a.out, "worker %s, %s, is alive: a silence of %s would have been noticed\n", cell(w.Name), cell(w.State), age(w.WithinMS))
	fmt.Fprintf(a.out, "%d slots used, %d calls running%s\n", w.Used, w.Running, sign)
	if len(w.Hits) == 0 {
		return nil
	}
	fmt.Fprintln(a.out)
	rows := make([][]string, len(w.Hits))
	for i, h := range w.Hits {
		running, since := "", ""
		if h.Worker.Running > 0 {
			running, since = strconv.FormatUint(uint64(h.Worker.Running), 10), age(h.Worker.RunningMS)
		}
		client := "alive"
		if !h.Client.Alive {
			client = "gone"
		}
		rows[i] = []string{h.Hit, h.Service, h.Worker.State, running, since, strconv.Itoa(h.Worker.Queued), age(h.Worker.ProgressMS), h.ClientName, client}
	}
	return a.table("HIT SERVICE STATE RUNNING FOR QUEUED PROGRESS CLIENT IS", rows)
}
