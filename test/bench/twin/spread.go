package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// openers is how many goroutines open hits at the same time.
const openers = 64

// spread opens so many hits over several brokers, when it is told to, and calls each of them. It prints {"lost": hits that were not opened or did not
// answer, "workers": {name: hits}, "opens_s": opens a second}.
func spread(ctx context.Context, count string, endpoints []string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return fmt.Errorf("HITS: %w", err)
	}
	var cfg assigner.ClientConfig
	for _, at := range endpoints {
		cfg.Brokers = append(cfg.Brokers, assigner.BrokerRef{URL: at})
	}
	cl, err := assigner.Dial(ctx, cfg)
	if err != nil {
		return err
	}
	for cl.Registered() < len(endpoints) {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	fmt.Println("ready")
	if !bufio.NewScanner(os.Stdin).Scan() {
		return cl.Close(ctx)
	}
	s := &spreading{client: cl, workers: make(map[string]int)}
	begun := time.Now()
	var group sync.WaitGroup
	for i := range openers {
		group.Go(func() { s.open(ctx, n/openers+min(1, max(0, n%openers-i))) })
	}
	group.Wait()
	rate := float64(n) / time.Since(begun).Seconds()
	s.verify(ctx)
	if err := json.NewEncoder(os.Stdout).Encode(map[string]any{"lost": n - s.answered, "workers": s.workers, "opens_s": rate}); err != nil {
		return err
	}
	return cl.Close(ctx)
}

// spreading is what the openers have done.
type spreading struct {
	client *assigner.Client

	mu       sync.Mutex
	workers  map[string]int
	hits     []*assigner.Hit
	answered int
}

func (s *spreading) open(ctx context.Context, n int) {
	for range n {
		h, err := s.client.Open(ctx, "echo")
		if err != nil {
			fmt.Fprintln(os.Stderr, "twin:", err)
			continue
		}
		s.mu.Lock()
		s.workers[h.Worker()]++
		s.hits = append(s.hits, h)
		s.mu.Unlock()
	}
}

// verify calls all hits.
func (s *spreading) verify(ctx context.Context) {
	for i, h := range s.hits {
		body := strconv.Itoa(i)
		if reply, err := h.Call(ctx, []byte(body)); err == nil && string(reply) == body {
			s.answered++
		}
	}
}
