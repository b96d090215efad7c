package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/patterns/assigner/keys"
)

// clientsEnv names the variable with the broker's endpoint for clients.
const clientsEnv = "TROUPE_BROKER"

// target says which broker a command asks, and how long it waits.
type target struct {
	brokers []string // as URL or URL#WEIGHT
	one     bool     // the command is about one broker
	key     string
	connect time.Duration
	timeout time.Duration
}

func (t *target) add(flags *pflag.FlagSet, timeout time.Duration, what string) {
	flags.StringSliceVar(&t.brokers, "broker", []string{assigner.DefaultClients}, "the broker's endpoint for clients (or $"+clientsEnv+"); calls may go to several, as URL or URL#WEIGHT")
	flags.StringVar(&t.key, "key", "", keyUsage)
	flags.DurationVar(&t.connect, "connect", 3*time.Second, "how long to wait for the broker")
	flags.DurationVar(&t.timeout, "timeout", timeout, "how long "+what+" may take")
}

// several reads the brokers. The error names the one that cannot be.
func (t *target) several() ([]assigner.BrokerRef, error) {
	if t.one && len(t.brokers) != 1 {
		return nil, fmt.Errorf("--broker names %d brokers, and this command is about one: ask them one by one", len(t.brokers))
	}
	all := make([]assigner.BrokerRef, len(t.brokers))
	for i, text := range t.brokers {
		url, weight, weighed := strings.Cut(text, "#")
		all[i] = assigner.BrokerRef{URL: url, Weight: 1}
		if n, err := strconv.Atoi(weight); weighed && (err != nil || n < 1) {
			return nil, fmt.Errorf("--broker %s: the weight %q is no whole number from 1 on: write %s#3, say", text, weight, url)
		} else if weighed {
			all[i].Weight = n
		}
		if slices.ContainsFunc(all[:i], func(b assigner.BrokerRef) bool { return b.URL == url }) {
			return nil, fmt.Errorf("--broker names %s twice: leave one of the two out", url)
		}
	}
	return all, nil
}

const keyUsage = "key for a broker with keys: what keys add has printed, or a file with it (default $" + keyEnv + ")"

// loadKey reads a key, or the file that it is in.
func loadKey(flag string) (string, error) {
	key, err := keys.Load(flag)
	if err != nil {
		return "", fmt.Errorf("--key: %w", err)
	}
	return key, nil
}

// config is that of a client of the target.
func (t *target) config(logger *slog.Logger) (assigner.ClientConfig, error) {
	brokers, err := t.several()
	if err != nil {
		return assigner.ClientConfig{}, err
	}
	key, err := loadKey(t.key)
	return assigner.ClientConfig{Brokers: brokers, Key: key, Logger: logger, System: newSystem(logger)}, err
}

// ask connects to the broker and lets do speak with it. SIGINT and SIGTERM end do's context.
func (a *app) ask(cmd *cobra.Command, t *target, do func(ctx context.Context, c *assigner.Client) error) error {
	if t.connect <= 0 || t.timeout <= 0 {
		return usage(fmt.Errorf("--connect is %v and --timeout is %v: both must be longer than nothing, as in 3s", t.connect, t.timeout))
	}
	logger := a.logger
	if !cmd.Flags().Changed("log-level") {
		logger = slog.New(slog.DiscardHandler) // what goes wrong is this command's own error
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg, err := t.config(logger)
	if err != nil {
		return usage(err)
	}
	c, err := assigner.Dial(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(t.reach(ctx, c, do), hangUp(ctx, c))
}

func hangUp(ctx context.Context, c *assigner.Client) error {
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	return c.Close(end)
}

func (t *target) reach(ctx context.Context, c *assigner.Client, do func(ctx context.Context, c *assigner.Client) error) error {
	there, cancel := context.WithTimeout(ctx, t.connect)
	defer cancel()
	if err := c.Ready(there); err != nil {
		return err
	}
	return do(ctx, c)
}

// askOnce is ask with the timeout for all of do.
func (a *app) askOnce(cmd *cobra.Command, t *target, do func(ctx context.Context, c *assigner.Client) error) error {
	return a.ask(cmd, t, func(ctx context.Context, c *assigner.Client) error {
		ctx, cancel := context.WithTimeout(ctx, t.timeout)
		defer cancel()
		return do(ctx, c)
	})
}
