package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

type resumeFlags struct {
	target
	raw, progress bool
}

func (a *app) hitResumeCommand() *cobra.Command {
	f := &resumeFlags{}
	cmd := &cobra.Command{
		Use: "resume TICKETFILE", Short: "Go on with a hit that was left",
		Long: `Go on with a hit of "troupe call --hit --resume --ticket", on the same thread of the same worker. Answers that have come meanwhile are printed
first; then every line of standard input is a call, as with "troupe call --hit". The end of the input closes the hit, Ctrl-C leaves it again.

The broker is that of the ticket, unless --broker is given. A ticket that others can read is refused.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.resume(cmd, f, args[0]) },
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveDefault
		},
	}
	f.add(cmd.Flags(), 30*time.Second, "a call")
	cmd.Flags().BoolVar(&f.progress, "progress", false, "print what the service says about its progress on standard error")
	cmd.Flags().BoolVar(&f.raw, "raw", false, "print the replies' bytes as they are, without a line break at the end")
	return cmd
}

func (a *app) resume(cmd *cobra.Command, f *resumeFlags, path string) error {
	file := &ticketFile{path}
	text, about, err := file.read()
	if err != nil {
		return usage(err)
	}
	if !a.typed("broker") {
		f.brokers = []string{about.Broker}
	}
	shown := a.showProgress(f.progress)
	defer shown.stop()
	return a.ask(cmd, &f.target, func(ctx context.Context, c *assigner.Client) error {
		limited, cancel := context.WithTimeout(ctx, f.timeout)
		defer cancel()
		hit, err := c.Resume(limited, text)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.err, "hit %x: resumed, %s at worker %s\n", hit.Handle(), cell(hit.Service()), cell(hit.Worker()))
		l := &lineHit{hit: hit, limit: f.timeout, raw: f.raw, shown: shown, ticket: file, kept: about.Kept}
		calls, failed, err := a.inherit(ctx, l)
		switch {
		case err != nil && hit.Err() == nil:
			return errors.Join(unlessLeft(err), a.leave(ctx, l, calls))
		case err != nil:
			return errors.Join(err, l.drop(err))
		}
		return a.serve(ctx, l, calls, failed)
	})
}

// inherit prints the answers to calls that were under way when the hit was left.
func (a *app) inherit(ctx context.Context, l *lineHit) (calls, failed int, err error) {
	for _, i := range l.hit.Inherited() {
		calls++
		err := a.finishLine(l, time.Now(), func() ([][]byte, error) {
			limited, cancel := context.WithTimeout(ctx, l.limit)
			defer cancel()
			return i.Wait(limited)
		})
		var e *assigner.Error
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return calls, failed, errLeft
		case l.hit.Err() == nil && errors.As(err, &e) && !errors.Is(err, context.DeadlineExceeded):
			failed++ // this call, not the hit
			a.complain(err)
		default:
			return calls, failed, err
		}
		if err := l.note(); err != nil {
			return calls, failed, err
		}
	}
	return calls, failed, nil
}
