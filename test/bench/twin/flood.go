package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/patterns/tasks"
)

// flood sends one-shots of a service, more than there are slots: a plain DEALER, since a client would keep books on all of them. It prints "ready" when all are sent, and throws away what comes.
func flood(ctx context.Context, endpoint, count, size string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return fmt.Errorf("COUNT: %w", err)
	}
	bytes, err := strconv.Atoi(size)
	if err != nil {
		return fmt.Errorf("SIZE: %w", err)
	}
	c, err := zmqsock.NewContext()
	if err != nil {
		return err
	}
	defer func() { _ = c.Term() }()
	s, err := c.Open(zmqsock.Config{Kind: zmqsock.Dealer, SendHWM: 1 << 22, RecvHWM: -1})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if err := s.Connect(endpoint); err != nil {
		return err
	}
	out := zmqsock.NewOut()
	defer out.Free()
	say := func(h wire.Header, frames ...[]byte) {
		out.Add(s, nil, false)
		out.Append(h.Bytes())
		for _, f := range frames {
			out.Append(f)
		}
	}
	say(wire.Header{Type: wire.Hello}, []byte(`{"name":"flood"}`))
	body, service, none := make([]byte, bytes), []byte("idle"), []byte{}
	for i := 1; i <= n; i++ {
		say(wire.Header{Type: wire.Open, Flags: wire.First | wire.Last | wire.Ref, Hit: uint64(i)}, service, none, body)
		if i%256 == 0 || i == n {
			if refused := out.Send(); refused != 0 {
				return fmt.Errorf("task %d was not taken: %w", i, out.Err(0))
			}
			out.Reset()
		}
	}
	fmt.Println("ready")
	return drain(ctx, s, func(received int) {
		out.Reset()
		say(wire.Header{Type: wire.Credit, Arg: uint32((received + window) / 1024)})
		out.Send()
	})
}

// window is the broker's default: so much it sends beyond what was acknowledged.
const window = 4 << 20

// drain throws away what comes, and acknowledges it by quarters of the window.
func drain(ctx context.Context, s *zmqsock.Socket, credit func(received int)) error {
	received, credited := 0, 0
	var frames [][]byte
	in, err := zmqsock.NewIn(256)
	if err != nil {
		return err
	}
	defer in.Free()
	wake, err := zmqsock.NewWake()
	if err != nil {
		return err
	}
	defer func() { _ = wake.Close() }()
	stop := context.AfterFunc(ctx, wake.Wake)
	defer stop()
	poll := zmqsock.NewPoller(wake)
	if err := poll.Set([]*zmqsock.Socket{s}); err != nil {
		return err
	}
	for ctx.Err() == nil {
		in.Clear(false)
		n, err := in.Recv(s, 256, 0)
		if err != nil {
			return err
		}
		for i := range n {
			frames = in.Frames(i, frames[:0])
			for _, f := range frames {
				received += len(f)
			}
		}
		if received-credited >= window/4 {
			credited = received
			credit(received)
		}
		if n == 0 {
			if err := poll.Wait(-1); err != nil {
				return err
			}
		}
	}
	return nil
}

// survey waits until so many tasks are queued, looks at a page of them, removes one from the middle, clears all, and tells how long that took in ms, and the broker's longest turn.
func survey(ctx context.Context, endpoint, count string) (err error) {
	n, err := strconv.Atoi(count)
	if err != nil {
		return fmt.Errorf("COUNT: %w", err)
	}
	c, err := tasks.Dial(ctx, tasks.Config{Client: assigner.ClientConfig{Broker: endpoint}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
	q := c.Queue("idle")
	for has := 0; has < n; {
		if has, err = q.Count(ctx, tasks.Which{}); err != nil {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	fmt.Println("queued")
	var line string
	if _, err := fmt.Scanln(&line); err != nil {
		return fmt.Errorf("nobody says to go on: %w", err)
	}
	found := map[string]float64{}
	timed := func(name string, do func() error) {
		begun := time.Now()
		if err == nil {
			err = do()
		}
		found[name] = ms(begun)
	}
	var id string
	timed("page", func() error {
		page, err := q.Show(ctx, tasks.Which{}, 100)
		if err == nil && len(page) < 100 {
			err = fmt.Errorf("a page has %d tasks", len(page))
		}
		if err == nil {
			id = page[50].ID
		}
		return err
	})
	timed("remove", func() error { return q.Remove(ctx, id) })
	timed("clear", func() error {
		k, err := q.Clear(ctx, tasks.Which{})
		if err == nil && k != n-1 {
			err = fmt.Errorf("%d of %d were cleared", k, n-1)
		}
		return err
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}
