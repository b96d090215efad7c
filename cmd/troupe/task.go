package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/patterns/tasks"
)

func (a *app) taskCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "task", Short: "Give work to any number of workers, and see what becomes of it", Args: cobra.NoArgs, RunE: needsCommand,
		Long: `A task is a single call that somebody waits for, comes back for, or asks everybody to do. It waits at the broker while all workers that may have it are busy;
with --retries one that fails is run again on another worker; with --id it goes on without this command, runs once however often it is submitted, and
troupe task get fetches its answer.`,
	}
	cmd.AddCommand(a.taskSubmitCommand(), a.taskMapCommand(), a.taskAllCommand(), a.taskGetCommand(), a.taskListCommand(), a.taskCancelCommand())
	return cmd
}

// specFlags are the flags that say what is to be done, and by whom.
type specFlags struct {
	target
	spec       tasks.Spec
	failAbsent bool
	inFlight   int
}

func (f *specFlags) add(flags *pflag.FlagSet) {
	f.target.add(flags, 24*time.Hour, "all answers")
	flags.StringVar(&f.spec.Topic, "topic", "", "what listings of queues show of it")
	flags.StringVar(&f.spec.Target.Where, "where", "", "only at workers with these labels, as gpu=a100|h100,zone!=b")
	flags.DurationVar(&f.spec.Deadline, "deadline", 0, "how long a task may take, all attempts and waits together; 0: for ever")
}

// addOne adds the flags of tasks that one worker does.
func (f *specFlags) addOne(flags *pflag.FlagSet) {
	f.add(flags)
	flags.StringVar(&f.spec.Target.Worker, "on", "", "only at the worker of this name, even if it takes longer")
	flags.StringVar(&f.spec.Target.Key, "affinity", "", "at the worker that the last one with this key went to, while it lives")
	flags.BoolVar(&f.failAbsent, "absent-fails", false, "with --on and --where: fail when there is no such worker, in place of waiting for one")
	flags.IntVar(&f.spec.Retry.Most, "retries", 0, "how often a task that has failed is run again, on another worker where there is one: it may then run more than once")
	flags.DurationVar(&f.spec.Retry.Base, "backoff", 50*time.Millisecond, "how long to wait before that, at most; doubled each time")
	flags.StringVar(&f.spec.ID, "id", "", "makes it a task that the broker knows: it runs once, and troupe task get comes back for its answer")
	flags.DurationVar(&f.spec.Keep, "keep", 0, "with --id: how long the broker keeps the answer (default 10m)")
}

// check looks at the flags as a whole.
func (f *specFlags) check(service string) error {
	f.spec.Service = service
	if f.failAbsent {
		if f.spec.Target.Worker == "" && f.spec.Target.Where == "" {
			return errors.New("--absent-fails without --on or --where: say which worker may be absent")
		}
		f.spec.Target.Absent = assigner.AbsentFail
	}
	if f.spec.ID == "" && f.spec.Keep != 0 {
		return errors.New("--keep without --id: give the task an id to come back for its answer with")
	}
	return f.spec.Validate()
}

// submitting connects to the broker and lets do submit tasks. SIGINT and SIGTERM end do's context.
func (a *app) submitting(cmd *cobra.Command, f *specFlags, do func(ctx context.Context, c *tasks.Client) error) error {
	if f.connect <= 0 || f.timeout <= 0 {
		return usage(fmt.Errorf("--connect is %v and --timeout is %v: both must be longer than nothing, as in 3s", f.connect, f.timeout))
	}
	logger := a.logger
	if !cmd.Flags().Changed("log-level") {
		logger = slog.New(slog.DiscardHandler) // what goes wrong is this command's own error
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg, err := f.config(logger)
	if err != nil {
		return usage(err)
	}
	c, err := tasks.Dial(ctx, tasks.Config{Client: cfg, InFlight: f.inFlight})
	if err != nil {
		return err
	}
	failed := f.reach(ctx, c.Calls(), func(ctx context.Context, _ *assigner.Client) error {
		ctx, cancel := context.WithTimeout(ctx, f.timeout)
		defer cancel()
		return do(ctx, c)
	})
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	return errors.Join(failed, c.Close(end))
}
