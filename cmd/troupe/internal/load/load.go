// Package load makes calls over many open hits, measures how long they take, and verifies every answer.
package load

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// Config says what load is made. All fields are required.
type Config struct {
	Service  string // answers with its body
	Hits     int    // open at the same time
	Route    assigner.Route
	Window   int           // calls under way at the same time
	Size     int           // of a body, bytes, at least MinSize
	Warm     time.Duration // before the measurement
	Duration time.Duration // of the measurement
}

// MinSize is what the number takes that tells a body from all others.
const MinSize = 16

// Result is what was measured.
type Result struct {
	Service string  `json:"service"`
	Hits    int     `json:"hits"`
	Window  int     `json:"window"`
	Size    int     `json:"size_bytes"`
	Seconds float64 `json:"seconds"`
	Calls   uint64  `json:"calls"`
	Rate    float64 `json:"calls_per_second"`
	P50     float64 `json:"p50_us"`
	P99     float64 `json:"p99_us"`
	P999    float64 `json:"p999_us"`
	Most    float64 `json:"max_us"`
	Wrong   uint64  `json:"wrong_answers"`
	Failed  uint64  `json:"failed_calls"`
	First   string  `json:"first_failure,omitempty"`
}

// Open opens the hits, spread over the clients. On an error those that are open stay so until their client is closed.
func Open(ctx context.Context, clients []*assigner.Client, c Config) ([]*assigner.Hit, error) {
	hits := make([]*assigner.Hit, c.Hits)
	errs := make([]error, len(clients))
	var wg sync.WaitGroup
	for k, client := range clients {
		wg.Go(func() {
			for i := k; i < len(hits) && errs[k] == nil; i += len(clients) {
				hits[i], errs[k] = client.OpenWith(ctx, assigner.OpenRequest{Service: c.Service, Label: "bench", Route: c.Route})
			}
		})
	}
	wg.Wait()
	return hits, errors.Join(errs...)
}

// Run makes calls until the duration is over or ctx ends, which only shortens the measurement.
func Run(ctx context.Context, hits []*assigner.Hit, c Config) Result {
	ctx, cancel := context.WithTimeout(ctx, c.Warm+c.Duration)
	defer cancel()
	begin := time.Now().Add(c.Warm)
	callers := make([]*caller, c.Window)
	var wg sync.WaitGroup
	for i := range callers {
		callers[i] = newCaller(i, hits, c)
		wg.Go(func() { callers[i].run(ctx, begin) })
	}
	wg.Wait()
	took := max(time.Since(begin), 0)
	r := Result{Service: c.Service, Hits: len(hits), Window: c.Window, Size: c.Size, Seconds: took.Seconds()}
	all := &histogram{}
	for _, one := range callers {
		all.merge(&one.times)
		r.Wrong += one.wrong
		r.Failed += one.failed
		if r.First == "" {
			r.First = one.first
		}
	}
	r.Calls = all.total
	if took > 0 {
		r.Rate = float64(all.total) / took.Seconds()
	}
	us := func(q float64) float64 { return float64(all.quantile(q)) / 1e3 }
	r.P50, r.P99, r.P999, r.Most = us(0.5), us(0.99), us(0.999), float64(all.most)/1e3
	return r
}

// caller keeps one call under way, going round its hits.
type caller struct {
	hits   []*assigner.Hit
	body   []byte
	times  histogram
	wrong  uint64
	failed uint64
	first  string // of what went wrong
}

func newCaller(number int, hits []*assigner.Hit, c Config) *caller {
	one := &caller{body: make([]byte, c.Size)}
	for i := number % len(hits); i < len(hits); i += c.Window {
		one.hits = append(one.hits, hits[i])
	}
	random := rand.NewChaCha8([32]byte{byte(number), byte(number >> 8)})
	_, _ = random.Read(one.body) // never fails
	binary.BigEndian.PutUint64(one.body, uint64(number))
	return one
}

func (c *caller) run(ctx context.Context, begin time.Time) {
	for n := uint64(0); ctx.Err() == nil; n++ {
		binary.BigEndian.PutUint64(c.body[8:], n)
		hit := c.hits[n%uint64(len(c.hits))]
		sent := time.Now()
		answer, err := hit.Call(context.WithoutCancel(ctx), c.body)
		now := time.Now()
		switch {
		case err != nil:
			c.failed++
			c.note(err.Error())
			if !errors.Is(err, assigner.ErrService) {
				return // the hit is over
			}
		case !bytes.Equal(answer, c.body):
			c.wrong++
			c.note(fmt.Sprintf("hit %x: the answer to call %d of caller %d is not its body", hit.Handle(), n, binary.BigEndian.Uint64(c.body)))
		case sent.After(begin):
			c.times.add(now.Sub(sent))
		}
	}
}

func (c *caller) note(text string) {
	if c.first == "" {
		c.first = text
	}
}
