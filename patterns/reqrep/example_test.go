package reqrep_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"time"

	"github.com/troupe-mq/troupe/patterns/reqrep"
)

// A server with five workers, a call, and two calls under way at once.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	server, err := reqrep.NewServer(ctx, reqrep.ServerConfig{
		Bind:    []string{"tcp://127.0.0.1:0"},
		Workers: 5,
		Handler: func(_ context.Context, r *reqrep.Request) ([][]byte, error) {
			return [][]byte{bytes.ToUpper(r.Body[0])}, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close(ctx)
	client, err := reqrep.NewClient(ctx, reqrep.ClientConfig{Connect: server.Addrs(), Timeout: 10 * time.Second, Tries: 3})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)

	answer, err := client.Call(ctx, []byte("hello"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", answer[0])

	var calls []*reqrep.Call
	for _, text := range []string{"one", "two"} {
		call, err := client.Go([]byte(text))
		if err != nil {
			log.Fatal(err)
		}
		calls = append(calls, call)
	}
	for _, call := range calls {
		if answer, err = call.Wait(ctx); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", answer[0])
	}
	// Output:
	// HELLO
	// ONE
	// TWO
}
