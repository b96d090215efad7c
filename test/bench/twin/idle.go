package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// idle registers workers that do nothing: plain DEALERs, whose library answers the heartbeats.
func idle(ctx context.Context, endpoint, count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return fmt.Errorf("COUNT: %w", err)
	}
	c, err := zmqsock.NewContext()
	if err != nil {
		return err
	}
	defer func() { _ = c.Term() }()
	out := zmqsock.NewOut()
	defer out.Free()
	for i := range n {
		s, err := c.Open(zmqsock.Config{Kind: zmqsock.Dealer, Heartbeat: -1})
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }()
		if err := s.Connect(endpoint); err != nil {
			return err
		}
		h := wire.Header{Type: wire.Ready}
		ready := wire.JSON(wire.ReadyInfo{Name: fmt.Sprint("idle-", i), Services: []string{"idle"}, Slots: 1})
		out.Add(s, nil, false)
		out.Append(h.Bytes())
		out.Append(ready)
		if refused := out.Send(); refused != 0 {
			return fmt.Errorf("worker %d: READY was not taken: %w", i, out.Err(0))
		}
		out.Reset()
	}
	fmt.Println("ready")
	<-ctx.Done()
	return nil
}
