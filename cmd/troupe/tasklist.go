package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

// taskPage is the answer to task.list.
type taskPage struct {
	Tasks []machine.TaskRow `json:"tasks"`
	Total int               `json:"total"`
	Kept  int               `json:"kept_bytes"`
	More  bool              `json:"more"`
}

func (a *app) taskListCommand() *cobra.Command {
	t := &target{one: true}
	var r machine.AdminRequest
	var most int
	cmd := &cobra.Command{
		Use: "list", Short: "List the tasks with ids, the latest first", Args: cobra.NoArgs,
		Long: "List the tasks that have ids, the latest first: which wait, which run and where, which are done or have failed, and how long their answers are kept yet.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if most < 1 {
				return usage(fmt.Errorf("--most is %d: it starts at 1", most))
			}
			return a.askOnce(cmd, t, func(ctx context.Context, c *assigner.Client) error {
				all := taskPage{Tasks: []machine.TaskRow{}}
				r.Cmd = "task.list"
				for {
					r.Limit = most - len(all.Tasks)
					var page taskPage
					if err := administer(ctx, c, r, &page); err != nil {
						return err
					}
					all.Tasks, all.Total, all.Kept, all.More = append(all.Tasks, page.Tasks...), page.Total, page.Kept, page.More
					if !page.More || len(all.Tasks) >= most || len(page.Tasks) == 0 {
						return a.printTasks(all)
					}
					r.After = page.Tasks[len(page.Tasks)-1].No
				}
			})
		},
	}
	t.add(cmd.Flags(), 10*time.Second, "the answer")
	cmd.Flags().StringVar(&r.Service, "service", "", "only tasks of this service")
	cmd.Flags().StringVar(&r.State, "state", "", "only tasks that are queued, running, done or failed")
	cmd.Flags().IntVar(&most, "most", 100, "how many")
	a.complete(cmd, "service", a.completeFrom(t, serviceNames))
	return cmd
}

func (a *app) printTasks(p taskPage) error {
	if a.json() {
		return a.printJSON(p)
	}
	rows := make([][]string, len(p.Tasks))
	for i, t := range p.Tasks {
		state := t.State
		if t.Status != "" {
			state += " (" + t.Status + ")"
		}
		kept := ""
		if t.LeftMS > 0 {
			kept = age(t.LeftMS)
		}
		rows[i] = []string{t.ID, t.Service, t.Label, state, t.Worker, strconv.Itoa(t.Askers), strconv.Itoa(t.Bytes), age(t.AgeMS), kept}
	}
	if len(rows) == 0 {
		fmt.Fprintln(a.err, "no such task has an id; `troupe task submit --id` gives it one")
		return nil
	}
	if p.More {
		fmt.Fprintf(a.err, "there are more: --most shows them; %d in all\n", p.Total)
	}
	return a.table("TASK SERVICE TOPIC STATE WORKER WAITING BYTES AGE KEPT", rows)
}

func (a *app) taskCancelCommand() *cobra.Command {
	t := &target{one: true}
	cmd := &cobra.Command{
		Use: "cancel ID", Short: "Cancel a task with an id", Args: cobra.ExactArgs(1),
		Long: "Cancel a task that has an id, whoever has submitted it: one that waits is taken out of its queue, the thread of one that runs is told. All who wait for it learn so.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.askOnce(cmd, t, func(ctx context.Context, c *assigner.Client) error {
				var said struct {
					Cancelled string `json:"cancelled"`
					Tasks     int    `json:"tasks"`
				}
				if err := administer(ctx, c, machine.AdminRequest{Cmd: "task.cancel", Task: args[0], By: whoami()}, &said); err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(said)
				}
				fmt.Fprintf(a.err, "cancelled %s\n", said.Cancelled)
				return nil
			})
		},
	}
	t.add(cmd.Flags(), 10*time.Second, "the answer")
	return cmd
}
