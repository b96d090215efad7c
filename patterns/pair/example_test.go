package pair_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/troupe-mq/troupe/patterns/pair"
)

// A parent and a child thread. With tcp://127.0.0.1:5555 in place of the inproc name they may be two processes.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	const url = "inproc://steps"
	parent, err := pair.Listen(ctx, pair.Config{URL: url})
	if err != nil {
		log.Fatal(err)
	}
	defer parent.Close(ctx)
	go func() {
		child, err := pair.Dial(ctx, ctx, pair.Config{URL: url})
		if err != nil {
			log.Print(err)
			return
		}
		defer child.Close(ctx)
		if err := child.Send(ctx, []byte("ready")); err != nil {
			log.Print(err)
		}
	}()
	message, err := parent.Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", message)
	_, err = parent.Receive(ctx)
	fmt.Println(err)
	// Output:
	// [ready]
	// pair: receive: the other end has gone: it was closed: for a new pair, Listen and Dial again
}
