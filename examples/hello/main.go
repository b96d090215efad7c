// Command hello is the smallest whole program with Troupe: a broker, a worker and a client in one process. Each hit keeps its thread.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"golang.org/x/sys/unix"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

func main() { hello(context.Background(), os.Stdout) }

func hello(ctx context.Context, out io.Writer) {
	broker, err := assigner.NewBroker(assigner.BrokerConfig{Clients: []string{"inproc://clients"}, Workers: []string{"inproc://workers"}})
	check(err)
	check(broker.Start(ctx))
	defer func() { check(broker.Close(ctx)) }()

	thread := func(context.Context, *assigner.Call) ([]byte, error) { return fmt.Append(nil, unix.Gettid()), nil }
	worker, err := assigner.NewWorker(assigner.WorkerConfig{Broker: "inproc://workers", Services: map[string]assigner.Service{"thread": {Handler: thread}}})
	check(err)
	check(worker.Start(ctx))
	defer func() { check(worker.Close(ctx)) }()

	client, err := assigner.Dial(ctx, assigner.ClientConfig{Broker: "inproc://clients"})
	check(err)
	defer func() { check(client.Close(ctx)) }()

	hits, kept := make([]*assigner.Hit, 4), make([]int, 4)
	for i := range hits {
		hits[i], err = client.Open(ctx, "thread")
		check(err)
	}
	for range 100 { // calls of all hits in turn
		for i, hit := range hits {
			reply, err := hit.Call(ctx, nil)
			check(err)
			if string(reply) == fmt.Sprint(hit.Thread()) {
				kept[i]++
			}
		}
	}
	for i, hit := range hits {
		fmt.Fprintf(out, "hit %x on thread %d: affinity kept %d/100\n", hit.Handle(), hit.Thread(), kept[i])
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
