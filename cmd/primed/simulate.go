package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// simulate pumps numbers through the stages, without HTTP. Every 64th is a large prime, which costs as much as thousands of the others.
func simulate(ctx context.Context, o options, out io.Writer) error {
	h, err := build(ctx, o, nil)
	if err != nil {
		return err
	}
	defer func() { _ = h.close() }()
	began := time.Now()
	var next, primes, failed atomic.Int64
	var all sync.WaitGroup
	for range 4 * o.workers {
		all.Go(func() {
			for i := next.Add(1); i <= int64(o.simulate) && ctx.Err() == nil; i = next.Add(1) {
				switch is, err := h.ask(ctx, i); {
				case err != nil:
					failed.Add(1)
				case is:
					primes.Add(1)
				}
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	fmt.Fprintf(out, "%d numbers, %d primes, %d failed, %d workers per stage: %v, %.0f per second\n", o.simulate, primes.Load(), failed.Load(), o.workers, took.Round(time.Millisecond),
		float64(o.simulate)/took.Seconds())
	st := h.front.Stats()
	for _, name := range []string{"parse", "compute", "format"} {
		fmt.Fprintf(out, "%-8s %7d calls, mean %v, 99 of 100 below %v\n", name, st[name].Calls, st[name].Mean.Round(time.Microsecond), st[name].P99)
	}
	if n := failed.Load(); n > 0 {
		return fmt.Errorf("%d of %d requests failed", n, o.simulate)
	}
	return nil
}

// ask sends the i-th number through the stages.
func (h *house) ask(ctx context.Context, i int64) (is bool, err error) {
	if i%64 == 0 {
		i = 32416190071
	}
	r, err := h.front.Do(ctx, http.MethodGet, fmt.Sprintf("/is_prime?possible_prime=%d", i), nil, nil)
	if err != nil {
		return false, err
	}
	var answer struct {
		IsPrime bool `json:"is_prime"`
	}
	if r.StatusCode != http.StatusOK {
		return false, fmt.Errorf("status %d", r.StatusCode)
	}
	err = json.NewDecoder(r.Body).Decode(&answer)
	return answer.IsPrime, err
}
