package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/patterns/tasks"
	"github.com/troupe-mq/troupe/test/bench/pump"
)

// submit keeps tasks under way, each by a handle.
func submit(ctx context.Context, endpoint string, args []string) (err error) {
	o, err := pump.ParseOptions(args)
	if err != nil {
		return err
	}
	c, err := tasks.Dial(ctx, tasks.Config{Client: assigner.ClientConfig{Broker: endpoint}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
	result, err := pump.Run(ctx, o, func(ctx context.Context, _ int, body []byte) ([]byte, error) {
		return c.Submit(ctx, tasks.Spec{Service: "echo", Body: body}).Wait(ctx)
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

// all asks everybody so many times, and tells the median of the times in ms, and how many have answered each time, and were lost.
func all(ctx context.Context, endpoint, times string) (err error) {
	n, err := strconv.Atoi(times)
	if err != nil || n < 1 {
		return fmt.Errorf("TIMES is %q: a number from 1 on", times)
	}
	c, err := tasks.Dial(ctx, tasks.Config{Client: assigner.ClientConfig{Broker: endpoint}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
	took := make([]float64, n)
	answered, lost := 1<<30, 0
	for i := range took {
		begun := time.Now()
		l, err := c.All(ctx, tasks.Spec{Service: "echo", Body: []byte("who is there?")}, nil)
		if err != nil {
			return err
		}
		took[i] = float64(time.Since(begun).Microseconds()) / 1e3
		answered, lost = min(answered, l.Count(tasks.Answered)), max(lost, l.Count(tasks.Lost))
	}
	slices.Sort(took)
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"ms": took[n/2], "answered": answered, "lost": lost})
}
