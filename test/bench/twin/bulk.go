package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// sink takes the body of a call and forgets it.
func sink(_ context.Context, c *assigner.Call) ([]byte, error) {
	n, err := io.Copy(io.Discard, c.Input())
	return strconv.AppendInt(nil, n, 10), err
}

// letters is a body that is written afresh, without an end.
type letters struct{ page []byte }

// Read is io.Reader's.
func (l letters) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], l.page)
	}
	return n, nil
}

// warmBytes are sent before the measured ones.
const warmBytes = 64 << 20

// bulk sends one body of so many bytes and prints {"mbps": 10^6 bytes per second}.
func bulk(ctx context.Context, endpoint, bytes, route string) error {
	size, err := strconv.ParseInt(bytes, 10, 64)
	if err != nil {
		return fmt.Errorf("BYTES: %w", err)
	}
	cl, err := assigner.Dial(ctx, assigner.ClientConfig{Broker: endpoint})
	if err != nil {
		return err
	}
	way := map[string]assigner.Route{"routed": assigner.Routed, "direct": assigner.Direct}[route]
	h, err := cl.OpenWith(ctx, assigner.OpenRequest{Service: "sink", Route: way})
	if err != nil {
		return err
	}
	body := letters{make([]byte, 1<<20)}
	var took time.Duration
	for _, n := range []int64{warmBytes, size} {
		begun := time.Now()
		said, err := h.CallWith(ctx, assigner.Request{Body: body, Size: n})
		if err != nil {
			return err
		}
		if string(said[0]) != strconv.FormatInt(n, 10) {
			return fmt.Errorf("%s bytes of %d arrived", said[0], n)
		}
		took = time.Since(begun)
	}
	if err := h.Close(ctx); err != nil {
		return err
	}
	if err := cl.Close(ctx); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]float64{"mbps": float64(size) / 1e6 / took.Seconds()})
}
