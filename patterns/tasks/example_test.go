package tasks_test

import (
	"context"
	"fmt"
	"log"
	"slices"
	"strings"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/patterns/tasks"
)

// A map over some words, and a question to all workers.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	broker, err := assigner.NewBroker(assigner.BrokerConfig{Clients: []string{"inproc://tasks-clients"}, Workers: []string{"inproc://tasks-workers"}, Logger: quiet()})
	if err != nil {
		log.Fatal(err)
	}
	if err := broker.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer broker.Close(ctx)
	for _, name := range []string{"ann", "bob"} {
		worker, err := assigner.NewWorker(assigner.WorkerConfig{Broker: "inproc://tasks-workers", Name: name, Logger: quiet(), Services: map[string]assigner.Service{
			"upper": {Handler: func(_ context.Context, c *assigner.Call) ([]byte, error) {
				return []byte(strings.ToUpper(string(c.Body()))), nil
			}},
			"name": {Handler: func(context.Context, *assigner.Call) ([]byte, error) { return []byte(name), nil }},
		}})
		if err != nil {
			log.Fatal(err)
		}
		if err := worker.Start(ctx); err != nil {
			log.Fatal(err)
		}
		defer worker.Close(ctx)
		<-worker.Welcomed()
	}

	client, err := tasks.Dial(ctx, tasks.Config{Client: assigner.ClientConfig{Broker: "inproc://tasks-clients", Logger: quiet()}})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)

	words := [][]byte{[]byte("to"), []byte("be"), []byte("or")}
	for r := range client.Map(ctx, tasks.Spec{Service: "upper", Retry: tasks.Retry{Most: 3}}, slices.Values(words)).InOrder(ctx) {
		fmt.Println(string(r.Reply), r.Err)
	}
	ledger, err := client.All(ctx, tasks.Spec{Service: "name"}, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range ledger.Entries {
		fmt.Println(e.Member.Worker, e.State)
	}
	// Output:
	// TO <nil>
	// BE <nil>
	// OR <nil>
	// ann answered
	// bob answered
}
