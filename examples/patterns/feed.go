package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/troupe-mq/troupe/patterns/pubsub"
)

func feed(ctx context.Context, out io.Writer, args []string) error {
	price := 100
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	return publish(ctx, out, pubsub.PublisherConfig{Bind: args[:1], LastValue: true}, func() (string, string) {
		select {
		case <-pace.C:
		case <-ctx.Done():
		}
		price++
		return args[1], fmt.Sprint(price)
	})
}

func feedForwarder(ctx context.Context, out io.Writer, args []string) error {
	f, err := pubsub.NewForwarder(ctx, pubsub.ForwarderConfig{Bind: args[:1], Connect: args[1:]})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "forwarding at", f.Addrs()[0])
	<-ctx.Done()
	return f.Close(context.WithoutCancel(ctx))
}

func feedClient(ctx context.Context, out io.Writer, args []string) error {
	s, err := pubsub.NewSubscriber(ctx, pubsub.SubscriberConfig{Connect: args[:1]})
	if err != nil {
		return err
	}
	seen := make(map[string]int)
	for _, symbol := range args[1:] {
		seen[symbol] = 0
		err = errors.Join(err, s.Subscribe(ctx, symbol))
	}
	for left := 5 * len(seen); left > 0 && err == nil; {
		var m *pubsub.Message
		if m, err = s.Receive(ctx); err != nil {
			break
		}
		if seen[m.Topic]++; seen[m.Topic] <= 5 {
			left--
			fmt.Fprintln(out, m.Topic, m.Text())
		}
	}
	return errors.Join(err, s.Close(context.WithoutCancel(ctx)))
}
