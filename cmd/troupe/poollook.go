package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/patterns/pool"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
	"github.com/troupe-mq/troupe/supervision/why"
)

func (a *app) poolMembersCommand() *cobra.Command {
	p := &poolPlace{}
	cmd := &cobra.Command{
		Use: "members POOL", Short: "List the members of a pool, on all hosts", Args: cobra.ExactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		Long: "List the members of a pool on all hosts, as the master of this host knows them, with the verdicts that stand: FROZEN for a member or a whole host beyond reach.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.asGuest(cmd, p, args[0], func(ctx context.Context, m *pool.Member) error {
				s, err := m.Status(ctx)
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(s.View)
				}
				return a.printMembers(s.View)
			})
		},
	}
	p.add(cmd.Flags(), 10*time.Second, "a master")
	return cmd
}

func (a *app) printMembers(v wire.View) error {
	var rows [][]string
	for _, h := range v.Hosts {
		for _, m := range h.Members {
			role, verdict := "member", m.Verdict
			if m.ID == h.Master {
				role = "master"
			}
			if h.Reach.Verdict != "" {
				verdict = h.Reach.Verdict + ": " + h.Reach.Why
			}
			var labels []string
			for _, k := range slices.Sorted(maps.Keys(m.Labels)) {
				labels = append(labels, k+"="+m.Labels[k])
			}
			rows = append(rows, []string{h.Name, m.Name, m.ID.String(), strconv.Itoa(m.PID), role, strconv.FormatUint(h.Stamp.Term, 10), verdict, strings.Join(labels, " ")})
		}
	}
	return a.table("HOST NAME ID PID ROLE TERM VERDICT LABELS", rows)
}

// poolSurvey asks every member of this host past the master, so that it works while the master hangs.
func (a *app) poolSurvey(cmd *cobra.Command, p *poolPlace, name string, show func([]wire.Status) error) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), p.wait)
	defer cancel()
	cfg := pool.Config{Pool: name, Name: "guest", RunDir: p.runDir, Logger: a.logger}
	all, silent, err := pool.Look(ctx, cfg)
	if err != nil {
		return poolFailure(err)
	}
	if err := show(all); err != nil {
		return err
	}
	if silent != nil && !a.json() {
		fmt.Fprintln(a.err, silent)
	}
	return nil
}

func (a *app) poolStatusCommand() *cobra.Command {
	p := &poolPlace{}
	cmd := &cobra.Command{
		Use: "status POOL", Short: "Show what each member of this host does and knows", Args: cobra.ExactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		Long: "Show what each member of this host does and knows: its role, its term, what it is asked and asks. Each is asked directly, past the master, so this works while the master hangs.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.poolSurvey(cmd, p, args[0], func(all []wire.Status) error {
				if a.json() {
					return a.printJSON(all)
				}
				var rows [][]string
				for _, s := range all {
					n := 0
					for _, h := range s.View.Hosts {
						n += len(h.Members)
					}
					rows = append(rows, []string{s.Name, strconv.Itoa(s.PID), s.Role, strconv.FormatUint(s.Term, 10), s.Master.String(), strconv.Itoa(s.Running), strconv.Itoa(s.Asking), strconv.Itoa(len(s.View.Hosts)), strconv.Itoa(n)})
				}
				return a.table("NAME PID ROLE TERM MASTER RUNNING ASKING HOSTS MEMBERS", rows)
			})
		},
	}
	p.add(cmd.Flags(), time.Second, "the answers of the members")
	return cmd
}

func (a *app) poolWhyCommand() *cobra.Command {
	p := &poolPlace{}
	cmd := &cobra.Command{
		Use: "why POOL", Short: "Show the verdicts of this host's members, and how they voted", Args: cobra.ExactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		Long: "Show the verdicts that each member of this host has given: on its master, with the votes of the others, and as master on members and hosts. Each is asked directly, past the master, so this works while the master hangs.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.poolSurvey(cmd, p, args[0], a.printPoolWhys)
		},
	}
	p.add(cmd.Flags(), time.Second, "the answers of the members")
	return cmd
}

// poolWhy is a member's verdicts, as -o json prints them.
type poolWhy struct {
	Judge string       `json:"judge"`
	ID    string       `json:"id"`
	Whys  []why.Record `json:"whys"`
	Votes []wire.Vote  `json:"votes,omitempty"`
}

func (a *app) printPoolWhys(all []wire.Status) error {
	said := []poolWhy{}
	for _, s := range all {
		if len(s.Whys)+len(s.Votes) > 0 {
			said = append(said, poolWhy{s.Name, s.ID.String(), s.Whys, s.Votes})
		}
	}
	if a.json() {
		return a.printJSON(said)
	}
	for _, one := range said {
		fmt.Fprintf(a.out, "judged by %s:\n", cell(one.Judge))
		for _, r := range one.Whys {
			for line := range strings.Lines(r.Text()) {
				fmt.Fprintln(a.out, "  "+cell(strings.TrimSuffix(line, "\n")))
			}
		}
	}
	if len(said) == 0 {
		fmt.Fprintln(a.err, "no member of this host has given a verdict; `troupe pool members` shows who is there")
	}
	return nil
}
