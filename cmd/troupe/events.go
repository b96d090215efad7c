package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

// eventPage is the answer to events.
type eventPage struct {
	Events      []machine.Event `json:"events"`
	Next        string          `json:"next"`
	Lost        uint64          `json:"lost"`
	More        bool            `json:"more"`
	Incarnation string          `json:"incarnation"`
}

// follower asks for events, page by page.
type follower struct {
	kind        string
	next        string
	incarnation string
}

// page returns what has happened since, and says in words what was missed.
func (f *follower) page(ctx context.Context, c *assigner.Client) (eventPage, string, error) {
	var p eventPage
	err := administer(ctx, c, machine.AdminRequest{Cmd: "events", After: f.next, Kind: f.kind}, &p)
	if err != nil {
		return p, "", err
	}
	if f.incarnation != "" && f.incarnation != p.Incarnation {
		f.incarnation, f.next = p.Incarnation, "0"
		again, _, err := f.page(ctx, c)
		return again, "the broker was started again: its events begin anew", err
	}
	f.incarnation, f.next = p.Incarnation, p.Next
	if p.Lost > 0 {
		return p, fmt.Sprintf("%d earlier events have made room for later ones", p.Lost), nil
	}
	return p, "", nil
}

func (a *app) eventsCommand() *cobra.Command {
	t := &target{one: true}
	f := &follower{}
	var follow bool
	cmd := &cobra.Command{
		Use: "events", Short: "Show what has happened at a broker, and follow it", Args: cobra.NoArgs,
		Long: `Show the broker's latest events (it keeps 4,096): workers that came, were lost and why, or left; services that are offered, or by nobody any more; verdicts; what operators did. Calls, and hits that end well,
are none. With --follow go on until Ctrl-C, also over a restart of the broker.`,
		Example: "  troupe events --follow --kind worker\n  troupe events -o json | jq -r .text",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ask := a.askOnce
			if follow {
				ask = a.ask
			}
			return ask(cmd, t, func(ctx context.Context, c *assigner.Client) error { return a.events(ctx, c, f, follow) })
		},
	}
	t.add(cmd.Flags(), 10*time.Second, "the answer")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until Ctrl-C")
	cmd.Flags().StringVar(&f.kind, "kind", "", "only this kind, or all that begin like it, as worker or worker.lost")
	cmd.Flags().StringVar(&f.next, "since", "", "only events behind the one with this number")
	return cmd
}

// eventPace is how often a follower asks.
const eventPace = 250 * time.Millisecond

func (a *app) events(ctx context.Context, c *assigner.Client, f *follower, follow bool) error {
	tick := time.NewTicker(eventPace)
	defer tick.Stop()
	told := false
	for {
		p, missed, err := f.page(ctx, c)
		switch {
		case ctx.Err() != nil && follow:
			return nil
		case err != nil && (!follow || !errors.Is(err, assigner.ErrBrokerGone)):
			return err
		case err != nil && !told:
			told = true
			fmt.Fprintln(a.err, "the broker is not reached, waiting for it")
		case err == nil:
			told = false
		}
		if missed != "" {
			fmt.Fprintln(a.err, missed)
		}
		for _, e := range p.Events {
			if err := a.printEvent(e); err != nil {
				return err
			}
		}
		if p.More {
			continue
		}
		if !follow {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (a *app) printEvent(e machine.Event) error {
	if a.json() {
		return a.printJSON(e)
	}
	text := fmt.Sprintf("%-6d %9s  %-18s", e.Seq, age(e.AtMS), e.Kind)
	for _, x := range []struct{ name, value string }{{"worker", e.Worker}, {"service", e.Service}, {"hit", e.Hit}, {"client", e.Client}, {"", e.Verdict}, {"", e.Text}} {
		switch {
		case x.value == "":
		case x.name == "":
			text += " " + cell(x.value)
		default:
			text += " " + x.name + "=" + cell(x.value)
		}
	}
	_, err := fmt.Fprintln(a.out, text)
	return err
}
