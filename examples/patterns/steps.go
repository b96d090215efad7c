package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/troupe-mq/troupe/patterns/pair"
)

// steps: with inproc://steps two threads, with tcp://127.0.0.1:5560 they may be two processes. Nothing else changes.
func steps(ctx context.Context, out io.Writer, args []string) error {
	role := ""
	if len(args) > 1 {
		role = args[1]
	}
	switch role {
	case "parent":
		return parent(ctx, out, args[0], func(string) {})
	case "child":
		return child(ctx, args[0])
	case "":
		var young sync.WaitGroup
		var failed error
		err := parent(ctx, out, args[0], func(url string) {
			young.Go(func() { failed = child(ctx, url) })
		})
		young.Wait()
		return errors.Join(err, failed)
	}
	return fmt.Errorf("the role is parent or child, not %q", role)
}

// parent binds, then has its child made, and waits for what it says.
func parent(ctx context.Context, out io.Writer, url string, bear func(url string)) error {
	p, err := pair.Listen(ctx, pair.Config{URL: url})
	if err != nil {
		return err
	}
	bear(p.Addr())
	for {
		said, err := p.Receive(ctx)
		switch {
		case errors.Is(err, pair.ErrGone):
			fmt.Fprintln(out, "the child has ended")
			return p.Close(context.WithoutCancel(ctx))
		case err != nil:
			return errors.Join(err, p.Close(context.WithoutCancel(ctx)))
		}
		fmt.Fprintf(out, "child: %s\n", said[0])
	}
}

func child(ctx context.Context, url string) error {
	c, err := pair.Dial(ctx, ctx, pair.Config{URL: url})
	if err != nil {
		return err
	}
	for _, step := range []string{"step 1", "step 2", "ready"} {
		err = errors.Join(err, c.Send(ctx, []byte(step)))
	}
	return errors.Join(err, c.Close(context.WithoutCancel(ctx)))
}
