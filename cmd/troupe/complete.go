package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

// completionLimit is how long a shell waits for the broker.
const completionLimit = time.Second

// complete sets what a flag's value can be completed to.
func (a *app) complete(cmd *cobra.Command, flag string, from cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, from); err != nil {
		panic("completion: " + err.Error()) // the flag does not exist, or has one already
	}
}

// completeFrom asks the broker; one that does not answer completes nothing.
func (a *app) completeFrom(t *target, list func(context.Context, *assigner.Client) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionLimit)
		defer cancel()
		_ = a.settle(cmd) // as well as it can be
		silent := slog.New(slog.DiscardHandler)
		cfg, err := t.config(silent)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		c, err := assigner.Dial(ctx, cfg)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names, err := list(ctx, c)
		if end := hangUp(ctx, c); err != nil || end != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, begun) })
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

func hitHandles(ctx context.Context, c *assigner.Client) ([]string, error) {
	hits, err := allHits(ctx, c)
	names := make([]string, len(hits))
	for i, h := range hits {
		names[i] = fmt.Sprintf("%s\t%s at %s, open %s", h.Hit, cell(h.Service), cell(h.Worker), age(h.AgeMS))
	}
	return names, err
}

func workerNames(ctx context.Context, c *assigner.Client) ([]string, error) {
	var page workerPage
	err := administer(ctx, c, machine.AdminRequest{Cmd: "worker.list"}, &page)
	names := make([]string, len(page.Workers))
	for i, w := range page.Workers {
		names[i] = fmt.Sprintf("%s\t%d of %d slots used", cell(w.Name), w.Used, w.Slots)
	}
	return names, err
}

func serviceNames(ctx context.Context, c *assigner.Client) ([]string, error) {
	var s machine.StatusReport
	err := administer(ctx, c, machine.AdminRequest{Cmd: "status"}, &s)
	names := make([]string, len(s.Services))
	for i, row := range s.Services {
		names[i] = fmt.Sprintf("%s\t%d of %d slots used", row.Name, row.Used, row.Slots)
	}
	return names, err
}
