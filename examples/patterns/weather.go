package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/troupe-mq/troupe/patterns/pubsub"
)

// publish publishes what next returns until the context ends.
func publish(ctx context.Context, out io.Writer, cfg pubsub.PublisherConfig, next func() (topic, text string)) error {
	p, err := pubsub.NewPublisher(ctx, cfg)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "publishing at", p.Addrs()[0])
	for ctx.Err() == nil && err == nil {
		topic, text := next()
		err = p.Publish(topic, []byte(text))
	}
	if ctx.Err() != nil {
		err = nil // it has closed the publisher
	}
	return errors.Join(err, p.Close(context.WithoutCancel(ctx)))
}

func weatherServer(ctx context.Context, out io.Writer, args []string) error {
	return publish(ctx, out, pubsub.PublisherConfig{Bind: args}, func() (string, string) {
		return strconv.Itoa(10000 + rand.IntN(10)), fmt.Sprintf("%d %d", rand.IntN(215)-80, rand.IntN(50)+10)
	})
}

func weatherClient(ctx context.Context, out io.Writer, args []string) error {
	zip := "10001"
	if len(args) > 1 {
		zip = args[1]
	}
	s, err := pubsub.NewSubscriber(ctx, pubsub.SubscriberConfig{Connect: args[:1]})
	if err != nil {
		return err
	}
	total := 0
	if err = s.Subscribe(ctx, zip); err == nil { // never 100010
		for range 5 {
			var m *pubsub.Message
			if m, err = s.Receive(ctx); err != nil {
				break
			}
			degrees, _, _ := strings.Cut(m.Text(), " ")
			n, wrong := strconv.Atoi(degrees)
			total, err = total+n, wrong
		}
	}
	if err == nil {
		fmt.Fprintf(out, "average temperature of %s: %.1f F\n", zip, float64(total)/5)
	}
	return errors.Join(err, s.Close(context.WithoutCancel(ctx)))
}
