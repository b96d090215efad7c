package pubsub_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/troupe-mq/troupe/patterns/pubsub"
)

// The weather: reports by ZIP code, and somebody in New York.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	publisher, err := pubsub.NewPublisher(ctx, pubsub.PublisherConfig{Bind: []string{"tcp://127.0.0.1:0"}})
	if err != nil {
		log.Fatal(err)
	}
	defer publisher.Close(ctx)
	subscriber, err := pubsub.NewSubscriber(ctx, pubsub.SubscriberConfig{Connect: publisher.Addrs()})
	if err != nil {
		log.Fatal(err)
	}
	defer subscriber.Close(ctx)
	if err := subscriber.Subscribe(ctx, "10001"); err != nil { // now the publisher knows
		log.Fatal(err)
	}
	for _, report := range [][2]string{{"10001", "21"}, {"100010", "-5"}, {"10001", "23"}} {
		if err := publisher.Publish(report[0], []byte(report[1])); err != nil {
			log.Fatal(err)
		}
	}
	for range 2 {
		m, err := subscriber.Receive(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(m.Topic, m.Text(), "missed:", m.Missed)
	}
	// Output:
	// 10001 21 missed: 0
	// 10001 23 missed: 0
}

// A subscriber that comes late gets the last value first.
func ExamplePublisherConfig() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	publisher, err := pubsub.NewPublisher(ctx, pubsub.PublisherConfig{Bind: []string{"inproc://example-pubsub"}, LastValue: true})
	if err != nil {
		log.Fatal(err)
	}
	defer publisher.Close(ctx)
	if err := publisher.Publish("door", []byte("open")); err != nil {
		log.Fatal(err)
	}
	late, err := pubsub.NewSubscriber(ctx, pubsub.SubscriberConfig{Connect: publisher.Addrs()})
	if err != nil {
		log.Fatal(err)
	}
	defer late.Close(ctx)
	if err := late.Subscribe(ctx, "door"); err != nil {
		log.Fatal(err)
	}
	m, err := late.Receive(ctx)
	fmt.Println(m.Topic, m.Text(), err)
	// Output: door open <nil>
}
