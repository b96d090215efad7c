package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

func (a *app) hitCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "hit", Short: "Show, resume and end hits", Args: cobra.NoArgs, RunE: needsCommand}
	cmd.AddCommand(a.hitListCommand(), a.hitKillCommand(), a.hitResumeCommand(), a.hitAliveCommand())
	return cmd
}

// needsCommand is what a command does that only has others below it.
func needsCommand(cmd *cobra.Command, _ []string) error {
	var below []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			below = append(below, c.Name())
		}
	}
	return usage(fmt.Errorf("%s needs one of its commands: %s", cmd.CommandPath(), strings.Join(below, ", ")))
}

func (a *app) hitListCommand() *cobra.Command {
	t := &target{one: true}
	var service, worker string
	cmd := &cobra.Command{
		Use: "list", Short: "List the open hits", Args: cobra.NoArgs,
		Long: `List the open hits in the order in which they were opened: for each its handle, its actor in the broker, what serves it (worker, host's
process, OS thread), the calls made and under way, its age and state, the route of its calls, and who opened it.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.askOnce(cmd, t, func(ctx context.Context, c *assigner.Client) error {
				hits, err := allHits(ctx, c)
				if err != nil {
					return err
				}
				return a.printHits(filtered(hits, service, worker))
			})
		},
	}
	t.add(cmd.Flags(), 10*time.Second, "the answer")
	cmd.Flags().StringVar(&service, "service", "", "only hits of this service")
	cmd.Flags().StringVar(&worker, "worker", "", "only hits at this worker")
	a.complete(cmd, "service", a.completeFrom(t, serviceNames))
	a.complete(cmd, "worker", a.completeFrom(t, workerNames))
	return cmd
}

func filtered(hits []machine.HitRow, service, worker string) []machine.HitRow {
	some := []machine.HitRow{}
	for _, h := range hits {
		if (service == "" || h.Service == service) && (worker == "" || h.Worker == worker) {
			some = append(some, h)
		}
	}
	return some
}

func (a *app) printHits(hits []machine.HitRow) error {
	if a.json() {
		return a.printJSON(map[string]any{"hits": hits, "total": len(hits)})
	}
	if len(hits) == 0 {
		fmt.Fprintln(a.err, "no hit is open")
		return nil
	}
	rows := make([][]string, len(hits))
	for i, h := range hits {
		thread := ""
		if h.Thread != 0 {
			thread = strconv.FormatUint(uint64(h.Thread), 10)
		}
		rows[i] = []string{
			h.Hit, h.Actor, h.Service, h.Worker, strconv.Itoa(h.PID), thread, strconv.FormatUint(uint64(h.Calls), 10),
			strconv.FormatUint(uint64(h.Waiting), 10), age(h.AgeMS), stateOf(h), h.Route, h.Client, h.Label,
		}
	}
	return a.table("HIT ACTOR SERVICE WORKER PID THREAD CALLS UNDERWAY AGE STATE ROUTE CLIENT LABEL", rows)
}

// stateOf is a hit's state; of one that waits for its client it says how much longer.
func stateOf(h machine.HitRow) string {
	if h.LeftMS == 0 {
		return h.State
	}
	return h.State + ", " + age(h.LeftMS) + " left"
}

func (a *app) hitKillCommand() *cobra.Command {
	t := &target{one: true}
	cmd := &cobra.Command{
		Use: "kill HIT...", Short: "End hits",
		Long: `End hits, each named by its handle or the beginning of it. What runs is cancelled, the session is closed on its thread, and the client
gets an error with status killed. The exit code is 1 when one of them was not ended.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.askOnce(cmd, t, func(ctx context.Context, c *assigner.Client) error { return a.kill(ctx, c, args) })
		},
		ValidArgsFunction: a.completeFrom(t, hitHandles),
	}
	t.add(cmd.Flags(), 10*time.Second, "the answers")
	return cmd
}

type killed struct {
	Hit     string `json:"hit"`
	Service string `json:"service,omitempty"`
	Worker  string `json:"worker,omitempty"`
	Error   string `json:"error,omitempty"`
}

func (a *app) kill(ctx context.Context, c *assigner.Client, names []string) error {
	hits, err := allHits(ctx, c)
	if err != nil {
		return err
	}
	var failed []error
	done := []killed{}
	for _, name := range names {
		k := killed{Hit: name}
		row, err := find(hits, name)
		if err == nil {
			k = killed{Hit: row.Hit, Service: row.Service, Worker: row.Worker}
			err = administer(ctx, c, machine.AdminRequest{Cmd: "hit.kill", Hit: row.Hit, By: whoami()}, &struct{}{})
		}
		if err != nil {
			k.Error = err.Error()
			failed = append(failed, err)
		}
		done = append(done, k)
	}
	return errors.Join(append(failed, a.printKilled(done))...)
}

func (a *app) printKilled(done []killed) error {
	if a.json() {
		return a.printJSON(map[string]any{"hits": done})
	}
	for _, k := range done {
		if k.Error == "" {
			fmt.Fprintf(a.out, "killed %s (%s at %s)\n", k.Hit, cell(k.Service), cell(k.Worker))
		}
	}
	return nil
}

// find returns the hit with this handle, or the only one whose handle begins so.
func find(hits []machine.HitRow, name string) (machine.HitRow, error) {
	var found []machine.HitRow
	for _, h := range hits {
		if h.Hit == name {
			return h, nil
		}
		if name != "" && strings.HasPrefix(h.Hit, strings.ToLower(name)) {
			found = append(found, h)
		}
	}
	switch len(found) {
	case 0:
		return machine.HitRow{}, fmt.Errorf("no open hit has a handle that begins with %q: `troupe hit list` shows them", name)
	case 1:
		return found[0], nil
	}
	return machine.HitRow{}, fmt.Errorf("%d open hits have handles that begin with %q, as %s and %s: write more of it", len(found), name, found[0].Hit, found[1].Hit)
}

// whoami is what the client of a killed hit reads about who did it.
func whoami() string {
	host, _ := os.Hostname()
	name := strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return name + "@" + host + " (troupe hit kill)"
}
