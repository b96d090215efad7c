package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

type callFlags struct {
	target
	hit, progress, raw bool
	direct, idempotent bool
	label, session     string
	bodyFile, output   string
	ticket             string
	resume             time.Duration
	aim                assigner.Target
	failAbsent         bool
}

func (a *app) callCommand() *cobra.Command {
	f := &callFlags{}
	cmd := &cobra.Command{
		Use:   "call SERVICE [BODY|-]",
		Short: "Call a service: once, or line by line on one hit",
		Long: `Call a service and print its reply. The body is the second argument, or standard input where that is "-"; without one it is empty.

With --body a file (or standard input) of any size follows the body in parts, and with --output the reply goes to a file (or standard output) as
it comes, of any size: neither is held in memory. --timeout bounds such a call only where it is given.

With --hit one hit is opened, every line of standard input is a call of it, and every reply is printed as a line: all of them are served
by one thread of one worker, which is named on standard error. With --resume the hit outlives a lost connection; with --ticket it outlives this command,
too: Ctrl-C leaves it as it is, and troupe hit resume goes on with it.

An error is printed with its status (what a program branches on) and its outcome: "never started" is safe to try again.`,
		Example: `  troupe call upper hello
  troupe call --progress progress 10
  printf 'a\nb\n' | troupe call --hit count
  troupe call --hit count --resume 60s --ticket count.ticket
  troupe call render scene.7 --where gpu=a100 --absent-fails
  troupe call sha256 --body film.mkv
  troupe call blob 4GiB --output zeros --direct`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error { return a.call(cmd, f, args) },
	}
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, to string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.completeFrom(&f.target, serviceNames)(cmd, args, to)
	}
	f.add(cmd.Flags(), 30*time.Second, "a call")
	cmd.Flags().BoolVar(&f.hit, "hit", false, "open one hit and make a call of every line of standard input")
	cmd.Flags().BoolVar(&f.direct, "direct", false, "send the calls of --hit, and large bodies, to the worker itself, past the broker")
	cmd.Flags().BoolVar(&f.idempotent, "idempotent", false, "the calls may run more than once: they may go to another worker when theirs is lost or stuck")
	cmd.Flags().StringVar(&f.bodyFile, "body", "", "file that is sent in parts behind BODY; - for standard input")
	cmd.Flags().StringVar(&f.output, "output", "", "file that the reply goes to as it comes; - for standard output")
	cmd.Flags().BoolVar(&f.progress, "progress", false, "print what the service says about its progress on standard error")
	cmd.Flags().BoolVar(&f.raw, "raw", false, "print the reply's bytes as they are, without a line break at the end")
	cmd.Flags().StringVar(&f.label, "label", "", "what listings show of the hit")
	cmd.Flags().DurationVar(&f.resume, "resume", 0, "with --hit: keep the hit for so long when the connection is lost, or this command leaves it; 0: not at all")
	cmd.Flags().StringVar(&f.ticket, "ticket", "", "with --resume: file for the hit's ticket, by which troupe hit resume takes it up again")
	cmd.Flags().StringVar(&f.aim.Worker, "on", "", "only at the worker of this name, even if it takes longer")
	cmd.Flags().StringVar(&f.aim.Where, "where", "", "only at workers with these labels, as gpu=a100|h100,zone!=b")
	cmd.Flags().StringVar(&f.aim.Key, "affinity", "", "at the worker that the last call with this key went to, while it lives")
	cmd.Flags().BoolVar(&f.failAbsent, "absent-fails", false, "with --on and --where: fail when there is no such worker, in place of waiting for one")
	cmd.Flags().StringVar(&f.session, "session", "", "JSON that the worker's session is opened with")
	return cmd
}

func (a *app) call(cmd *cobra.Command, f *callFlags, args []string) error {
	open := assigner.OpenRequest{Service: args[0], Label: f.label}
	if err := errors.Join(f.aimAt(&open), f.sessionOf(&open)); err != nil {
		return usage(err)
	}
	if f.direct {
		if !f.hit && !f.streams() {
			return usage(errors.New("--direct without --hit: a single call goes through the broker in one message: add --hit, or --body or --output"))
		}
		open.Route = assigner.Direct
	}
	if err := f.checkResume(); err != nil {
		return usage(err)
	}
	open.Resume = f.resume
	if f.hit && len(args) > 1 {
		return usage(errors.New("--hit takes the bodies from standard input: leave BODY out"))
	}
	shown := a.showProgress(f.progress)
	defer shown.stop()
	if f.hit && f.streams() {
		return usage(f.checkStreams(args))
	}
	if f.hit {
		return a.ask(cmd, &f.target, func(ctx context.Context, c *assigner.Client) error { return a.callLines(ctx, c, f, open, shown) })
	}
	if f.streams() {
		if err := f.checkStreams(args); err != nil {
			return usage(err)
		}
	}
	body, err := a.body(args[1:])
	if err != nil {
		return err
	}
	if f.streams() {
		return a.callStream(cmd, f, open, body, shown)
	}
	return a.askOnce(cmd, &f.target, func(ctx context.Context, c *assigner.Client) error {
		begun := time.Now()
		frames, err := c.DoWith(ctx, open, assigner.Request{Frames: [][]byte{body}, Progress: shown.report(), Idempotent: f.idempotent})
		shown.flush()
		if err != nil {
			return err
		}
		return a.printReply(f.raw, newReply(open.Service, frames, time.Since(begun)))
	})
}

// sessionOf gives the open the session of the flags.
func (f *callFlags) sessionOf(open *assigner.OpenRequest) error {
	if f.session == "" {
		return nil
	}
	if !json.Valid([]byte(f.session)) {
		return fmt.Errorf(`--session %s is no JSON: write it as '{"key": "value"}'`, f.session)
	}
	open.Session = json.RawMessage(f.session)
	return nil
}

// aimAt gives the open the target of the flags.
func (f *callFlags) aimAt(open *assigner.OpenRequest) error {
	if f.aim == (assigner.Target{}) {
		if f.failAbsent {
			return errors.New("--absent-fails without --on or --where: say which worker may be absent")
		}
		return nil
	}
	if f.failAbsent {
		f.aim.Absent = assigner.AbsentFail
	}
	if err := f.aim.Validate(); err != nil {
		return fmt.Errorf("--on, --where and --affinity: %w", err)
	}
	open.Target = f.aim
	return nil
}

// checkResume looks at --resume and --ticket.
func (f *callFlags) checkResume() error {
	switch {
	case f.ticket != "" && f.resume == 0:
		return errors.New("--ticket without --resume: say how long the hit is kept without this command, as --resume 60s")
	case f.resume == 0:
		return nil
	case f.resume < time.Millisecond || f.resume > 24*time.Hour:
		return fmt.Errorf("--resume is %v: from 1ms to 24h are possible", f.resume)
	case !f.hit || f.streams():
		return errors.New("--resume of a single call, which has no hit to come back to: add --hit, and give lines in place of --body and --output")
	case f.direct:
		return errors.New("--resume with --direct: a direct hit cannot be resumed, leave one of the two out")
	case f.ticket == "":
		return nil
	}
	return ticketFile{f.ticket}.free()
}

// body is the argument, or all of standard input.
func (a *app) body(args []string) ([]byte, error) {
	switch {
	case len(args) == 0:
		return nil, nil
	case args[0] != "-":
		return []byte(args[0]), nil
	}
	body, err := io.ReadAll(a.in)
	if err != nil {
		return nil, fmt.Errorf("the body cannot be read from standard input: %w", err)
	}
	return body, nil
}
