package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/patterns/tasks"
)

func (a *app) taskSubmitCommand() *cobra.Command {
	f := &specFlags{}
	var detach, shown, raw bool
	cmd := &cobra.Command{
		Use:   "submit SERVICE [BODY|-]",
		Short: "Submit a task, and print its answer",
		Long: `Submit a task and print its answer. The body is the second argument, or standard input where that is "-". Ctrl-C cancels the task; with --detach this command ends as soon
as the broker has it.`,
		Example: `  troupe task submit upper hello
  troupe task submit render scene.7 --where gpu --retries 3 --deadline 10m
  troupe task submit upper hello --id job-7 --detach && troupe task get upper job-7`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if detach && f.spec.ID == "" {
				return usage(errors.New("--detach without --id: give the task an id to come back for its answer with"))
			}
			if err := f.check(args[0]); err != nil {
				return usage(err)
			}
			body, err := a.body(args[1:])
			if err != nil {
				return err
			}
			progress := a.showProgress(shown)
			defer progress.stop()
			f.spec.Body, f.spec.Progress = body, progress.report()
			return a.submitting(cmd, f, func(ctx context.Context, c *tasks.Client) error {
				if detach {
					return a.detach(ctx, c, f.spec)
				}
				begun := time.Now()
				frames, err := c.Submit(ctx, f.spec).Frames(ctx)
				progress.flush()
				if err != nil {
					return err
				}
				return a.printReply(raw, newReply(f.spec.Service, frames, time.Since(begun)))
			})
		},
	}
	f.addOne(cmd.Flags())
	cmd.Flags().BoolVar(&detach, "detach", false, "with --id: end as soon as the broker has the task")
	cmd.Flags().BoolVar(&shown, "progress", false, "print what the service says about its progress on standard error")
	cmd.Flags().BoolVar(&raw, "raw", false, "print the reply's bytes as they are, without a line break at the end")
	cmd.ValidArgsFunction = a.completeFrom(&f.target, serviceNames)
	return cmd
}

// detach waits until the broker has the task.
func (a *app) detach(ctx context.Context, c *tasks.Client, s tasks.Spec) error {
	h := c.Submit(context.WithoutCancel(ctx), s) // it goes on
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		st, err := c.Status(ctx, s.ID)
		if err == nil {
			return a.printDetached(s, st.State)
		}
		select {
		case <-h.Done():
			if _, err := h.Wait(ctx); err != nil {
				return err
			}
			return a.printDetached(s, "done")
		case <-ctx.Done():
			h.Cancel()
			return err
		case <-tick.C:
		}
	}
}

func (a *app) printDetached(s tasks.Spec, state string) error {
	if a.json() {
		return a.printJSON(map[string]string{"task": s.ID, "service": s.Service, "state": state})
	}
	fmt.Fprintln(a.out, s.ID)
	fmt.Fprintf(a.err, "%s; its answer: troupe task get %s %s\n", state, s.Service, s.ID)
	return nil
}

func (a *app) taskGetCommand() *cobra.Command {
	f := &specFlags{}
	var raw, status bool
	cmd := &cobra.Command{
		Use:   "get SERVICE ID",
		Short: "Come back for the answer of a task with an id",
		Long: `Print the answer of a task that was submitted with an id, and wait for it if it is not done yet. Ctrl-C ends the wait, the task goes on. With --status say
how it stands in place of waiting.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.submitting(cmd, f, func(ctx context.Context, c *tasks.Client) error {
				if status {
					st, err := c.Status(ctx, args[1])
					if err != nil {
						return err
					}
					return a.printTask(st)
				}
				begun := time.Now()
				frames, err := c.Attach(ctx, args[0], args[1]).Frames(ctx)
				if err != nil {
					return err
				}
				return a.printReply(raw, newReply(args[0], frames, time.Since(begun)))
			})
		},
	}
	f.target.add(cmd.Flags(), 24*time.Hour, "the answer")
	cmd.Flags().BoolVar(&raw, "raw", false, "print the reply's bytes as they are, without a line break at the end")
	cmd.Flags().BoolVar(&status, "status", false, "say how the task stands, and do not wait for it")
	return cmd
}

func (a *app) printTask(s tasks.Status) error {
	if a.json() {
		return a.printJSON(map[string]any{
			"task": s.ID, "service": s.Service, "topic": s.Topic, "state": s.State, "status": s.Status, "worker": s.Worker,
			"age_ms": s.Age.Milliseconds(), "kept_left_ms": s.Left.Milliseconds(), "bytes": s.Bytes,
		})
	}
	state := s.State
	if s.Status != "" {
		state += " (" + s.Status + ")"
	}
	return a.table("TASK SERVICE TOPIC STATE WORKER AGE KEPT", [][]string{{s.ID, s.Service, s.Topic, state, s.Worker, age(s.Age.Milliseconds()), age(s.Left.Milliseconds())}})
}
