// Command nats is the peer of the Go benchmarks: an echo worker and a load client over a NATS server.
//
//	nats worker URL
//	nats client URL CALLS SIZE WARM RUN
//
// The worker is one queue subscription; the client makes every call with nc.Request. Durations are Go's, as 300ms.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/troupe-mq/troupe/test/bench/pump"
)

const patience = 15 * time.Second // for one answer

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "nats:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 2 && args[0] == "worker":
		return work(ctx, args[1])
	case len(args) == 6 && args[0] == "client":
		return load(ctx, args[1], args[2:])
	}
	return errors.New("usage: nats worker URL | nats client URL CALLS SIZE WARM RUN")
}

func work(ctx context.Context, url string) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	_, err = nc.QueueSubscribe("echo", "workers", func(m *nats.Msg) {
		if err := m.Respond(m.Data); err != nil {
			fmt.Fprintln(os.Stderr, "nats: respond:", err)
		}
	})
	if err != nil {
		return err
	}
	if err := nc.Flush(); err != nil { // the server knows the subscription now
		return err
	}
	fmt.Println("ready")
	<-ctx.Done()
	return nil
}

func load(ctx context.Context, url string, args []string) error {
	o, err := pump.ParseOptions(args)
	if err != nil {
		return err
	}
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	result, err := pump.Run(ctx, o, func(_ context.Context, _ int, body []byte) ([]byte, error) {
		m, err := nc.Request("echo", body, patience)
		if err != nil {
			return nil, err
		}
		return m.Data, nil
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}
