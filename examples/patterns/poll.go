package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/troupe-mq/troupe/patterns/pubsub"
)

// poll is the poller with two sockets: a goroutine for each source, and select, with its time-out, and with default where nothing is to be waited for.
func poll(ctx context.Context, out io.Writer, args []string) error {
	var all [2]chan *pubsub.Message
	for i, endpoint := range args {
		s, err := pubsub.NewSubscriber(ctx, pubsub.SubscriberConfig{Connect: []string{endpoint}})
		if err != nil {
			return err
		}
		defer s.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the program ends
		if err := s.SubscribePrefix(ctx, ""); err != nil {
			return err
		}
		all[i] = make(chan *pubsub.Message)
		go receive(ctx, s, all[i])
	}
	seen := [2]int{}
	for seen[0] < 3 || seen[1] < 3 {
		select {
		case <-all[0]:
			seen[0]++
		case <-all[1]:
			seen[1]++
		case <-time.After(5 * time.Second):
			return errors.New("nothing came for 5 s")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case <-all[0]:
		seen[0]++
	default: // nothing was there
	}
	fmt.Fprintf(out, "prices: %t, weather: %t\n", seen[0] >= 3, seen[1] >= 3)
	return nil
}

func receive(ctx context.Context, s *pubsub.Subscriber, to chan<- *pubsub.Message) {
	for {
		m, err := s.Receive(ctx)
		if err != nil {
			return
		}
		select {
		case to <- m:
		case <-ctx.Done():
			return
		case <-s.Done():
			return
		}
	}
}
