package proxy_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/troupe-mq/troupe/patterns/proxy"
	"github.com/troupe-mq/troupe/patterns/reqrep"
)

// A queue between clients and servers. Plain REQ and REP sockets may be at either side.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	server, err := reqrep.NewServer(ctx, reqrep.ServerConfig{
		Bind: []string{"inproc://hello"},
		Handler: func(_ context.Context, r *reqrep.Request) ([][]byte, error) {
			return append([][]byte{[]byte("hello")}, r.Body...), nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close(ctx)
	queue, err := proxy.New(ctx, proxy.Config{
		Kind:  proxy.Queue,
		Front: proxy.Side{Bind: []string{"tcp://127.0.0.1:0"}},
		Back:  proxy.Side{Connect: server.Addrs()},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer queue.Close(ctx)
	client, err := reqrep.NewClient(ctx, reqrep.ClientConfig{Connect: queue.FrontAddrs()})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)
	answer, err := client.Call(ctx, []byte("world"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", answer)
	// Output: [hello world]
}
