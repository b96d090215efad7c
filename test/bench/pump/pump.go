// Package pump keeps calls under way from many goroutines and proves every answer. The Go clients of the benchmarks
// share it, so that what is compared differs in nothing but the call.
package pump

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"
)

// keySize is the number of bytes of a body that say whose it is: lane and serial. The rest is a fixed pattern.
const keySize = 8

// Options say how much is under way and for how long.
type Options struct {
	Lanes int           // calls under way at the same time, one a goroutine
	Size  int           // bytes of a body, at least 8
	Warm  time.Duration // calls are made, but not measured
	Run   time.Duration // calls are measured
}

// ParseOptions reads Lanes, Size, Warm and Run from the command line of a client, durations as 300ms.
func ParseOptions(args []string) (o Options, err error) {
	if len(args) != 4 {
		return o, fmt.Errorf("pump: %d arguments, wanted are CALLS SIZE WARM RUN", len(args))
	}
	if o.Lanes, err = strconv.Atoi(args[0]); err != nil {
		return o, fmt.Errorf("pump: CALLS: %w", err)
	}
	if o.Size, err = strconv.Atoi(args[1]); err != nil {
		return o, fmt.Errorf("pump: SIZE: %w", err)
	}
	if o.Warm, err = time.ParseDuration(args[2]); err != nil {
		return o, fmt.Errorf("pump: WARM: %w", err)
	}
	if o.Run, err = time.ParseDuration(args[3]); err != nil {
		return o, fmt.Errorf("pump: RUN: %w", err)
	}
	return o, nil
}

// Call makes one call and returns its answer. It is called by one goroutine per lane.
type Call func(ctx context.Context, lane int, body []byte) ([]byte, error)

// Result is what was measured. Its JSON has the keys of the C load client.
type Result struct {
	RPS   float64 `json:"rps"`
	P50   float64 `json:"p50"`  // us, as the next two
	P99   float64 `json:"p99"`  //
	P999  float64 `json:"p999"` //
	N     int     `json:"n"`
	Total int     `json:"total"` // N and the calls before and after
}

// Run keeps Lanes calls under way until Warm and Run are over. The first error, or the first answer that is not the
// body that was sent, ends it.
func Run(ctx context.Context, o Options, call Call) (Result, error) {
	if o.Lanes < 1 || o.Size < keySize {
		return Result{}, fmt.Errorf("pump: %d lanes of %d bytes are not possible: at least 1 lane and %d bytes", o.Lanes, o.Size, keySize)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	from := time.Now().Add(o.Warm)
	lanes := make([]lane, o.Lanes)
	var wg sync.WaitGroup
	for i := range lanes {
		lanes[i] = lane{number: i, from: from, until: from.Add(o.Run)}
		wg.Go(func() {
			if err := lanes[i].run(ctx, o.Size, call); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return Result{}, err
	}
	return sum(lanes, o.Run), nil
}

type lane struct {
	number      int
	from, until time.Time
	took        []time.Duration // of the calls that were answered in the measured time
	total       int
}

func (l *lane) run(ctx context.Context, size int, call Call) error {
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(i * 7)
	}
	binary.BigEndian.PutUint32(body, uint32(l.number))
	for t := time.Now(); t.Before(l.until); {
		l.total++
		binary.BigEndian.PutUint32(body[4:], uint32(l.total))
		answer, err := call(ctx, l.number, body)
		if err != nil {
			return fmt.Errorf("lane %d, call %d: %w", l.number, l.total, err)
		}
		if !bytes.Equal(answer, body) {
			return fmt.Errorf("lane %d, call %d: the answer is not what was sent", l.number, l.total)
		}
		sent := t
		t = time.Now()
		if !t.Before(l.from) && t.Before(l.until) {
			l.took = append(l.took, t.Sub(sent))
		}
	}
	return nil
}

func sum(lanes []lane, run time.Duration) Result {
	var r Result
	var took []time.Duration
	for i := range lanes {
		r.Total += lanes[i].total
		took = append(took, lanes[i].took...)
	}
	if r.N = len(took); r.N == 0 {
		return r
	}
	slices.Sort(took)
	at := func(share float64) float64 { return float64(took[int(share*float64(r.N))].Nanoseconds()) / 1e3 }
	r.RPS = float64(r.N) / run.Seconds()
	r.P50, r.P99, r.P999 = at(0.5), at(0.99), at(0.999)
	return r
}
