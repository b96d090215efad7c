package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

func (a *app) treeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "tree", Short: "Show the supervision tree of a broker or a worker while it runs",
		Long: `Show the supervision tree of the broker, or by troupe tree worker of one of its workers: who lives under whom, how often each was started again
and why it ended last, how many messages wait for it, and what it is in and for how long. A part that hangs does not keep the others from being shown.`,
		Example: `  troupe tree
  troupe tree worker w1 -o json`,
	}
	// Without a word of what, it is the broker's.
	a.treeOf(cmd, cobra.NoArgs, nil)
	broker := &cobra.Command{Use: "broker", Short: "Show the tree of the broker"}
	a.treeOf(broker, cobra.NoArgs, nil)
	worker := &cobra.Command{
		Use: "worker NAME", Short: "Show the tree of a worker",
		Long: "Show the tree of a worker, which the broker asks for. The exit code is 1 when no worker has this name, or it does not answer within two seconds: then its loop hangs, or its library has no tree to tell of.",
	}
	a.treeOf(worker, cobra.ExactArgs(1), workerNames)
	cmd.AddCommand(broker, worker)
	return cmd
}

// treeOf completes a command that shows the tree of what its arguments name.
func (a *app) treeOf(cmd *cobra.Command, args cobra.PositionalArgs, names func(context.Context, *assigner.Client) ([]string, error)) {
	t := &target{one: true}
	cmd.Args = args
	if names != nil {
		cmd.ValidArgsFunction = a.completeFrom(t, names)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.askOnce(cmd, t, func(ctx context.Context, c *assigner.Client) error {
			var r machine.TreeReport
			if err := administer(ctx, c, machine.AdminRequest{Cmd: "tree", Worker: strings.Join(args, "")}, &r); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(r)
			}
			return a.table("PART STATE RESTARTS MAILBOX IN FOR LAST", treeRows(nil, &r.Tree, "", ""))
		})
	}
	t.add(cmd.Flags(), 10*time.Second, "the answer")
}

// treeRows adds the rows of a part and of all below it. First is what its own line begins with, rest what those of its children do.
func treeRows(rows [][]string, n *wire.TreeNode, first, rest string) [][]string {
	name := n.ID
	if first == "" {
		name = n.Path
	}
	state, box, since := n.State, "", ""
	if n.Late {
		state += ", does not answer"
	}
	if n.Mailbox >= 0 {
		box = strconv.Itoa(n.Mailbox)
	}
	if n.Message != "" {
		since = age(n.ForMS)
	}
	rows = append(rows, []string{first + cell(name), state, strconv.Itoa(n.Restarts), box, cell(n.Message), since, cell(n.Last)})
	for i := range n.Children {
		if i == len(n.Children)-1 && n.More == 0 {
			rows = treeRows(rows, &n.Children[i], rest+"`-- ", rest+"    ")
		} else {
			rows = treeRows(rows, &n.Children[i], rest+"|-- ", rest+"|   ")
		}
	}
	if n.More > 0 {
		rows = append(rows, []string{rest + "`-- " + strconv.Itoa(n.More) + " more", "", "", "", "", "", ""})
	}
	return rows
}
