package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

// queueFlags say which of the things that wait are meant.
type queueFlags struct {
	target
	aim, topic string
	older      time.Duration
	dryRun     bool
}

func (f *queueFlags) add(flags *pflag.FlagSet) {
	f.target.add(flags, time.Minute, "the answer")
	flags.StringVar(&f.aim, "for", "", "only what waits for this target, as `troupe queue list` shows it")
	flags.StringVar(&f.topic, "topic", "", "only with this topic (the label of an open)")
	flags.DurationVar(&f.older, "older", 0, "only what has waited longer than this")
}

func (f *queueFlags) request(cmd, service string) (machine.AdminRequest, error) {
	if f.older < 0 {
		return machine.AdminRequest{}, fmt.Errorf("--older is %v: an age is not negative", f.older)
	}
	if f.older > 0 && f.older < time.Millisecond {
		return machine.AdminRequest{}, fmt.Errorf("--older is %v: from 1ms on is possible", f.older)
	}
	return machine.AdminRequest{Cmd: cmd, Service: service, For: f.aim, Topic: f.topic, OlderMS: f.older.Milliseconds(), DryRun: f.dryRun, By: whoami()}, nil
}

func (a *app) queueCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "queue", Short: "Look into the queues of services, and change what waits there", Args: cobra.NoArgs, RunE: needsCommand,
		Long: `Opens and tasks wait at the broker while no worker has a free slot for them: in one queue per service, and one per target (a worker by name, a selector of labels). All that is
removed is told to who has submitted it, and the broker's log says who has removed it.`,
	}
	cmd.AddCommand(a.queueListCommand(), a.queueShowCommand(), a.queueRemoveCommand(), a.queueClearCommand(), a.queueMoveCommand(), a.queueHoldCommand(true), a.queueHoldCommand(false))
	return cmd
}

func (a *app) queueListCommand() *cobra.Command {
	f := &queueFlags{}
	f.one = true
	cmd := &cobra.Command{
		Use: "list [SERVICE]", Short: "List the queues where something waits, or that are held", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.askOnce(cmd, &f.target, func(ctx context.Context, c *assigner.Client) error {
				var page struct {
					Queues []machine.QueueRow `json:"queues"`
				}
				if err := administer(ctx, c, machine.AdminRequest{Cmd: "queue.list", Service: strings.Join(args, "")}, &page); err != nil {
					return err
				}
				return a.printQueues(page.Queues)
			})
		},
	}
	f.target.add(cmd.Flags(), 10*time.Second, "the answer")
	return cmd
}

func (a *app) printQueues(queues []machine.QueueRow) error {
	if a.json() {
		return a.printJSON(map[string]any{"queues": queues})
	}
	if len(queues) == 0 {
		fmt.Fprintln(a.err, "nothing waits, and nothing is held")
		return nil
	}
	rows := make([][]string, len(queues))
	for i, q := range queues {
		state := "open"
		switch {
		case q.Held:
			state = "held"
		case q.Wants > 0:
			state = fmt.Sprintf("wants %d workers", q.Wants)
		}
		oldest := ""
		if q.Waiting > 0 {
			oldest = age(q.OldestMS)
		}
		rows[i] = []string{q.Service, q.For, q.Route, strconv.Itoa(q.Waiting), oldest, strconv.Itoa(q.Workers), state, topics(q.Topics)}
	}
	return a.table("SERVICE FOR ROUTE WAITING OLDEST WORKERS STATE TOPICS", rows)
}

// topics shows those that most wait with.
func topics(all map[string]int) string {
	names := slices.SortedFunc(maps.Keys(all), func(x, y string) int { return cmp.Or(all[y]-all[x], strings.Compare(x, y)) })
	var parts []string
	for i, name := range names {
		if i == 5 {
			parts = append(parts, fmt.Sprintf("and %d more", len(names)-i))
			break
		}
		parts = append(parts, fmt.Sprintf("%s (%d)", name, all[name]))
	}
	return strings.Join(parts, ", ")
}

// itemPage is the answer to queue.show.
type itemPage struct {
	Items []machine.ItemRow `json:"items"`
	More  bool              `json:"more"`
	After string            `json:"after,omitempty"`
}

func (a *app) queueShowCommand() *cobra.Command {
	f := &queueFlags{}
	f.one = true
	var most int
	cmd := &cobra.Command{
		Use: "show SERVICE", Short: "List what waits for a service, in order", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := f.request("queue.show", args[0])
			if err == nil && most < 1 {
				err = fmt.Errorf("--most is %d: it starts at 1", most)
			}
			if err != nil {
				return usage(err)
			}
			return a.askOnce(cmd, &f.target, func(ctx context.Context, c *assigner.Client) error {
				all := itemPage{Items: []machine.ItemRow{}}
				for {
					r.Limit = most - len(all.Items)
					var page itemPage
					if err := administer(ctx, c, r, &page); err != nil {
						return err
					}
					all.Items, all.More, all.After = append(all.Items, page.Items...), page.More, page.After
					if r.After = page.After; !page.More || len(all.Items) >= most {
						return a.printItems(all)
					}
				}
			})
		},
	}
	f.add(cmd.Flags())
	cmd.Flags().IntVar(&most, "most", 100, "how many")
	cmd.ValidArgsFunction = a.completeFrom(&f.target, serviceNames)
	return cmd
}

func (a *app) printItems(p itemPage) error {
	if a.json() {
		return a.printJSON(p)
	}
	if p.More {
		fmt.Fprintln(a.err, "there are more: --most shows them")
	}
	if len(p.Items) == 0 {
		fmt.Fprintln(a.err, "nothing of that kind waits")
		return nil
	}
	rows := make([][]string, len(p.Items))
	for i, x := range p.Items {
		rows[i] = []string{x.ID, x.For, x.Topic, x.Task, x.Client, x.Key, strconv.Itoa(x.Bytes), age(x.AgeMS), age(x.LeftMS)}
	}
	return a.table("ID FOR TOPIC TASK CLIENT KEY BYTES AGE LEFT", rows)
}

// queueAnswer is what commands that change queues are answered with.
type queueAnswer struct {
	Removed  *int   `json:"removed,omitempty"`
	Moved    *int   `json:"moved,omitempty"`
	NoRoom   int    `json:"no_room,omitempty"`
	Would    *int   `json:"would,omitempty"`
	Held     string `json:"held,omitempty"`
	Released string `json:"released,omitempty"`
}

// change asks the broker to change a queue, and says what came of it.
func (a *app) change(cmd *cobra.Command, f *queueFlags, r machine.AdminRequest) error {
	return a.askOnce(cmd, &f.target, func(ctx context.Context, c *assigner.Client) error {
		var said queueAnswer
		if err := administer(ctx, c, r, &said); err != nil {
			return err
		}
		if a.json() {
			return a.printJSON(said)
		}
		switch {
		case said.Would != nil:
			fmt.Fprintf(a.err, "that would be %d\n", *said.Would)
		case said.Removed != nil:
			fmt.Fprintf(a.err, "removed %d, who had submitted them were told\n", *said.Removed)
		case said.Moved != nil:
			fmt.Fprintf(a.err, "moved %d to %s\n", *said.Moved, r.To)
		case said.Held != "":
			fmt.Fprintf(a.err, "%s is held: nothing of it is given out until `troupe queue release %[1]s`\n", said.Held)
		case said.Released != "":
			fmt.Fprintf(a.err, "%s is released\n", said.Released)
		}
		if said.NoRoom > 0 {
			return incomplete(fmt.Errorf("%d found no room at %s and wait where they were: the broker's --max-queue bounds a queue", said.NoRoom, r.To))
		}
		return nil
	})
}

func (a *app) queueRemoveCommand() *cobra.Command {
	f := &queueFlags{}
	f.one = true
	cmd := &cobra.Command{
		Use: "remove SERVICE ID", Short: "Remove one of those that wait", Args: cobra.ExactArgs(2),
		Long: "Remove one of those that wait, by the id that troupe queue show has for it. Who has submitted it is told: killed, never started.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.change(cmd, f, machine.AdminRequest{Cmd: "queue.remove", Service: args[0], ID: args[1], By: whoami()})
		},
	}
	f.target.add(cmd.Flags(), 10*time.Second, "the answer")
	return cmd
}

func (a *app) queueClearCommand() *cobra.Command {
	f := &queueFlags{}
	f.one = true
	cmd := &cobra.Command{
		Use: "clear SERVICE", Short: "Remove all that wait, or those of a topic, a target, an age", Args: cobra.ExactArgs(1),
		Example: "  troupe queue clear render --older 1h --dry-run",
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := f.request("queue.clear", args[0])
			if err != nil {
				return usage(err)
			}
			return a.change(cmd, f, r)
		},
	}
	f.add(cmd.Flags())
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only count them")
	cmd.ValidArgsFunction = a.completeFrom(&f.target, serviceNames)
	return cmd
}

func (a *app) queueMoveCommand() *cobra.Command {
	f := &queueFlags{}
	f.one = true
	var to string
	cmd := &cobra.Command{
		Use: "move SERVICE --to OTHER", Short: "Let what waits for a service wait for another one", Args: cobra.ExactArgs(1),
		Long: "Let what waits for a service wait for another one, behind what waits there; its workers get it under the other service's name. Who has submitted it is not told, but of what becomes of it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := f.request("queue.move", args[0])
			if err == nil && to == "" {
				err = errors.New("no --to: name the service where they are to wait")
			}
			if err != nil {
				return usage(err)
			}
			r.To = to
			return a.change(cmd, f, r)
		},
	}
	f.add(cmd.Flags())
	cmd.Flags().StringVar(&to, "to", "", "the other service")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only count them")
	cmd.ValidArgsFunction = a.completeFrom(&f.target, serviceNames)
	return cmd
}

func (a *app) queueHoldCommand(hold bool) *cobra.Command {
	f := &queueFlags{}
	f.one = true
	word, short := "hold", "Give nothing of a service out: opens wait, what runs goes on"
	if !hold {
		word, short = "release", "Give out again what a service holds"
	}
	cmd := &cobra.Command{
		Use: word + " SERVICE", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.change(cmd, f, machine.AdminRequest{Cmd: "queue." + word, Service: args[0], By: whoami()})
		},
	}
	f.target.add(cmd.Flags(), 10*time.Second, "the answer")
	cmd.ValidArgsFunction = a.completeFrom(&f.target, serviceNames)
	return cmd
}
