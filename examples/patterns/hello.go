package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/troupe-mq/troupe/patterns/reqrep"
)

func helloServer(ctx context.Context, out io.Writer, args []string) error {
	return serve(ctx, out, args[0], 1, func(_ context.Context, r *reqrep.Request) ([][]byte, error) {
		fmt.Fprintf(out, "recv: %s\n", r.Body[0])
		return r.Body, nil
	})
}

func threadsServer(ctx context.Context, out io.Writer, args []string) error {
	return serve(ctx, out, args[0], 5, func(ctx context.Context, _ *reqrep.Request) ([][]byte, error) {
		select {
		case <-time.After(time.Second): // some work
			return [][]byte{[]byte("World")}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
}

// serve answers until the context ends.
func serve(ctx context.Context, out io.Writer, endpoint string, workers int, handler reqrep.Handler) error {
	s, err := reqrep.NewServer(ctx, reqrep.ServerConfig{Bind: []string{endpoint}, Workers: workers, Handler: handler})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "serving at", s.Addrs()[0])
	<-ctx.Done()
	return s.Close(context.WithoutCancel(ctx))
}

func helloClient(ctx context.Context, out io.Writer, args []string) error {
	n, err := count(args, 3)
	if err != nil {
		return err
	}
	c, err := reqrep.NewClient(ctx, reqrep.ClientConfig{Connect: args[:1]})
	if err != nil {
		return err
	}
	for i := 1; i <= n && err == nil; i++ {
		var answer [][]byte
		if answer, err = c.Call(ctx, []byte(strconv.Itoa(i))); err == nil {
			fmt.Fprintf(out, "message: %s\n", answer[0])
		}
	}
	return errors.Join(err, c.Close(context.WithoutCancel(ctx)))
}

func threadsClient(ctx context.Context, out io.Writer, args []string) error {
	n, err := count(args, 0)
	if err != nil {
		return err
	}
	c, err := reqrep.NewClient(ctx, reqrep.ClientConfig{Connect: args[:1], Timeout: 30 * time.Second})
	if err != nil {
		return err
	}
	var calls []*reqrep.Call
	for range n {
		var call *reqrep.Call
		if call, err = c.Go([]byte("Hello")); err != nil {
			break
		}
		calls = append(calls, call)
	}
	for _, call := range calls {
		answer, wrong := call.Wait(ctx)
		if err = errors.Join(err, wrong); wrong == nil {
			fmt.Fprintf(out, "%s\n", answer[0])
		}
	}
	return errors.Join(err, c.Close(context.WithoutCancel(ctx)))
}

// count reads the number behind the endpoint, which may be left out.
func count(args []string, other int) (int, error) {
	if len(args) < 2 {
		return other, nil
	}
	n, err := strconv.Atoi(args[1])
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is no number of at least 1", args[1])
	}
	return n, nil
}
