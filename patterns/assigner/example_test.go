package assigner_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/supervision"
)

// A broker, a worker and a client in one process. Each could as well be a process of its own, at tcp or ipc endpoints.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	broker, err := assigner.NewBroker(assigner.BrokerConfig{Clients: []string{"inproc://example-clients"}, Workers: []string{"inproc://example-workers"}})
	if err != nil {
		log.Fatal(err)
	}
	if err := broker.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer broker.Close(ctx)

	worker, err := assigner.NewWorker(assigner.WorkerConfig{
		Broker: "inproc://example-workers",
		Services: map[string]assigner.Service{
			"upper": {Handler: func(_ context.Context, c *assigner.Call) ([]byte, error) { return bytes.ToUpper(c.Body()), nil }},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := worker.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer worker.Close(ctx)

	client, err := assigner.Dial(ctx, assigner.ClientConfig{Broker: "inproc://example-clients"})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)
	reply, err := client.Do(ctx, "upper", []byte("hello"))
	fmt.Println(string(reply), err)
	// Output: HELLO <nil>
}

// tally is what a session keeps between calls. All its methods run on one thread, so it needs no lock.
type tally struct{ words int }

func (t *tally) Call(_ context.Context, c *assigner.Call) ([]byte, error) {
	if len(c.Body()) == 0 {
		return nil, &assigner.ServiceError{Text: "nothing to count: send a text", Why: []byte(`{"words":0}`)}
	}
	t.words += len(bytes.Fields(c.Body()))
	c.Progress(1, "counted")
	return fmt.Append(nil, t.words), nil
}

func (t *tally) Close() error { return nil }

// A service with a session: one object per hit, opened, used and closed on the hit's own thread.
func ExampleService() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, stop := serve(ctx, assigner.Service{
		Open: func(context.Context, *assigner.Opening) (assigner.Session, error) { return &tally{}, nil },
	})
	defer stop()

	hit, err := client.Open(ctx, "example")
	if err != nil {
		log.Fatal(err)
	}
	for _, text := range []string{"one two", "three"} {
		reply, err := hit.Call(ctx, []byte(text))
		fmt.Println(string(reply), err)
	}
	fmt.Println(hit.Close(ctx))
	// Output:
	// 2 <nil>
	// 3 <nil>
	// <nil>
}

// An error says what became of the call, so that the caller knows whether to repeat it.
func ExampleError() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, stop := serve(ctx, assigner.Service{
		Open: func(context.Context, *assigner.Opening) (assigner.Session, error) { return &tally{}, nil },
	})
	defer stop()

	_, err := client.Do(ctx, "example", nil)
	var failed *assigner.Error
	if errors.As(err, &failed) {
		fmt.Println(errors.Is(err, assigner.ErrService), failed.Outcome, failed.Text, string(failed.Why))
	}
	// Output: true finished nothing to count: send a text {"words":0}
}

// Progress comes before the reply.
func ExampleHit_CallWith() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, stop := serve(ctx, assigner.Service{
		Open: func(context.Context, *assigner.Opening) (assigner.Session, error) { return &tally{}, nil },
	})
	defer stop()

	hit, err := client.Open(ctx, "example")
	if err != nil {
		log.Fatal(err)
	}
	reply, err := hit.CallWith(ctx, assigner.Request{
		Frames:   [][]byte{[]byte("three little words")},
		Progress: func(p assigner.Progress) { fmt.Printf("%.0f%% %s\n", 100*p.Done, p.Note) },
	})
	fmt.Printf("%s %v\n", reply, err)
	// Output:
	// 100% counted
	// [3] <nil>
}

// serve starts a broker and a worker with one service, and dials.
func serve(ctx context.Context, s assigner.Service) (*assigner.Client, func()) {
	broker, err := assigner.NewBroker(assigner.BrokerConfig{Clients: []string{"inproc://example-clients"}, Workers: []string{"inproc://example-workers"}})
	if err == nil {
		err = broker.Start(ctx)
	}
	if err != nil {
		log.Fatal(err)
	}
	worker, err := assigner.NewWorker(assigner.WorkerConfig{Broker: "inproc://example-workers", Services: map[string]assigner.Service{"example": s}})
	if err == nil {
		err = worker.Start(ctx)
	}
	if err != nil {
		log.Fatal(err)
	}
	client, err := assigner.Dial(ctx, assigner.ClientConfig{Broker: "inproc://example-clients"})
	if err != nil {
		log.Fatal(err)
	}
	return client, func() {
		if err := errors.Join(client.Close(ctx), worker.Close(ctx), broker.Close(ctx)); err != nil {
			log.Fatal(err)
		}
	}
}

// A server is a broker with threads of its own.
func ExampleServer() {
	s, err := assigner.NewServer(assigner.ServerConfig{
		Broker: assigner.BrokerConfig{Clients: []string{"inproc://example-server"}},
		Worker: assigner.WorkerConfig{Services: map[string]assigner.Service{"upper": {Handler: func(_ context.Context, c *assigner.Call) ([]byte, error) { return bytes.ToUpper(c.Body()), nil }}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer s.Close(ctx)
	c, err := assigner.Dial(ctx, assigner.ClientConfig{Broker: "inproc://example-server"})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)
	reply, err := c.Do(ctx, "upper", []byte("hello"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(reply))
	// Output: HELLO
}

// gobs is a codec of one's own: encoding/gob in place of JSON.
type gobs struct{}

func (gobs) Name() string { return "gob" }

func (gobs) Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(v)
	return b.Bytes(), err
}

func (gobs) Unmarshal(body []byte, v any) error {
	return gob.NewDecoder(bytes.NewReader(body)).Decode(v)
}

// Bodies and replies may be values. Both ends need the same codec, JSON unless they choose another one.
func ExampleTyped() {
	type order struct {
		Item  string
		Count int
	}
	type receipt struct{ Cents int }
	price := func(_ context.Context, _ *assigner.Call, o order) (receipt, error) {
		return receipt{Cents: 250 * o.Count}, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := assigner.NewServer(assigner.ServerConfig{
		Broker: assigner.BrokerConfig{Clients: []string{"inproc://example-typed"}},
		Worker: assigner.WorkerConfig{Codec: gobs{}, Services: map[string]assigner.Service{"price": {Handler: assigner.Typed(price)}}},
	})
	if err == nil {
		err = s.Start(ctx)
	}
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close(ctx)
	c, err := assigner.Dial(ctx, assigner.ClientConfig{Broker: "inproc://example-typed", Codec: gobs{}})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)
	r, err := assigner.DoAs[receipt](ctx, c, "price", order{Item: "tea", Count: 3})
	fmt.Println(r.Cents, err)
	_, err = c.Do(ctx, "price", []byte("three teas, please"))
	fmt.Println(errors.Is(err, assigner.ErrBadBody))
	// Output:
	// 750 <nil>
	// true
}

// A service of your own in the worker's supervision tree: it fails at first, and is started again.
func ExampleWorkerConfig_children() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	starts, warm := 0, make(chan struct{})
	worker, err := assigner.NewWorker(assigner.WorkerConfig{
		Broker: "inproc://example-children", Logger: slog.New(slog.DiscardHandler),
		Services: map[string]assigner.Service{"look": {Handler: func(context.Context, *assigner.Call) ([]byte, error) { return nil, nil }}},
		Children: []supervision.ChildSpec{{ID: "cache", Start: supervision.Service(func(ctx context.Context) error {
			if starts++; starts == 1 {
				return errors.New("the file is not there yet")
			}
			close(warm)
			<-ctx.Done()
			return ctx.Err()
		})}},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := worker.Start(ctx); err != nil {
		log.Fatal(err)
	}
	<-warm
	fmt.Println("started", starts, "times")
	fmt.Println(worker.Close(ctx))
	// Output:
	// started 2 times
	// <nil>
}
