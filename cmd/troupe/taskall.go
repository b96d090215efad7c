package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/patterns/tasks"
)

func (a *app) taskAllCommand() *cobra.Command {
	f := &specFlags{}
	cmd := &cobra.Command{
		Use:   "all SERVICE [BODY|-]",
		Short: "Have every worker of a service do it, and say what became of each",
		Long: `Ask every worker that offers the service now, or, with --where, those whose labels match. The ledger says of each whether it has answered, failed, is lost (and by which
verdict), or came late and was not asked. It is complete when each of them has an end, never by a time-out. The exit code is 0 when all have answered, else 4.`,
		Example: `  troupe task all reload
  troupe task all version --where zone=b -o json`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(args[0]); err != nil {
				return usage(err)
			}
			body, err := a.body(args[1:])
			if err != nil {
				return err
			}
			f.spec.Body = body
			return a.submitting(cmd, f, func(ctx context.Context, c *tasks.Client) error {
				l, err := c.All(ctx, f.spec, nil)
				if err != nil {
					return err
				}
				return a.printLedger(f.spec.Service, l)
			})
		},
	}
	f.add(cmd.Flags())
	cmd.ValidArgsFunction = a.completeFrom(&f.target, serviceNames)
	return cmd
}

// entry is a line of a ledger as -o json prints it.
type entry struct {
	Worker  string   `json:"worker"`
	Member  string   `json:"member"`
	Host    string   `json:"host"`
	PID     int      `json:"pid"`
	State   string   `json:"state"`
	Verdict string   `json:"verdict,omitempty"`
	Reply   *reply   `json:"reply,omitempty"`
	Error   *failure `json:"failed,omitempty"`
}

func (a *app) printLedger(service string, l *tasks.Ledger) error {
	asked := len(l.Entries) - l.Count(tasks.Late)
	if a.json() {
		all := make([]entry, 0, len(l.Entries))
		for _, e := range l.Entries {
			x := entry{Worker: e.Member.Worker, Member: e.Member.ID, Host: e.Member.Host, PID: e.Member.PID, State: string(e.State), Verdict: e.Verdict}
			if e.State == tasks.Answered {
				y := newReply(service, e.Reply, 0)
				x.Reply = &y
			}
			if e.Err != nil {
				f := newFailure(e.Err)
				x.Error = &f
			}
			all = append(all, x)
		}
		if err := a.printJSON(map[string]any{"complete": l.Complete, "asked": asked, "answered": l.Count(tasks.Answered), "entries": all}); err != nil {
			return err
		}
	} else if err := a.printEntries(l); err != nil {
		return err
	}
	if n := l.Count(tasks.Answered); n < asked {
		return incomplete(fmt.Errorf("%d of %d workers have answered: the ledger says what became of the others, `troupe why` why", n, asked))
	}
	if asked == 0 {
		return incomplete(errors.New("nobody was asked: no worker offers the service, or none has these labels: `troupe worker list` shows who is there"))
	}
	return nil
}

func (a *app) printEntries(l *tasks.Ledger) error {
	rows := make([][]string, 0, len(l.Entries))
	for _, e := range l.Entries {
		text := ""
		switch {
		case e.Err != nil:
			text = e.Err.Error()
		case e.State == tasks.Answered:
			parts := make([]string, len(e.Reply))
			for i, f := range e.Reply {
				parts[i] = string(f)
			}
			text = strings.TrimRight(strings.Join(parts, " | "), "\n")
		}
		state := string(e.State)
		if e.Verdict != "" {
			state += " (" + e.Verdict + ")"
		}
		rows = append(rows, []string{e.Member.Worker, e.Member.Host, strconv.Itoa(e.Member.PID), state, text})
	}
	return a.table("WORKER HOST PID STATE ANSWER", rows)
}
