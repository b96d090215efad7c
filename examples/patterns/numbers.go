package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/troupe-mq/troupe/patterns/pubsub"
)

func numbersServer(ctx context.Context, out io.Writer, args []string) error {
	i := 0
	return publish(ctx, out, pubsub.PublisherConfig{Bind: args}, func() (string, string) {
		i++
		return "numbers", strconv.Itoa(i)
	})
}

// numbersClient need not compare numbers to see a gap: Missed says it. It compares them all the same, to show that it is right.
func numbersClient(ctx context.Context, out io.Writer, args []string) error {
	n, err := count(args, 100_000)
	if err != nil {
		return err
	}
	s, err := pubsub.NewSubscriber(ctx, pubsub.SubscriberConfig{Connect: args[:1]})
	if err != nil {
		return err
	}
	if err = s.Subscribe(ctx, "numbers"); err == nil {
		err = countNumbers(ctx, out, s, n)
	}
	return errors.Join(err, s.Close(context.WithoutCancel(ctx)))
}

func countNumbers(ctx context.Context, out io.Writer, s *pubsub.Subscriber, n int) error {
	last, missed := 0, uint64(0)
	for i := range n {
		m, err := s.Receive(ctx)
		if err != nil {
			return err
		}
		number, err := strconv.Atoi(m.Text())
		if err != nil {
			return err
		}
		if gap := number - last - 1; i > 0 && gap != int(m.Missed) {
			return fmt.Errorf("%d came after %d, and %d are said to be missing", number, last, m.Missed)
		}
		if i > 0 {
			missed += m.Missed
		}
		last = number
	}
	fmt.Fprintf(out, "%d numbers, %d missed, each of them told\n", n, missed)
	return nil
}
