package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/patterns/butterfly"
)

// isPrime tries all odd divisors: the work is meant to be uneven, not clever. It returns early when ctx ends.
func isPrime(ctx context.Context, n uint64) (bool, error) {
	if n < 2 || n%2 == 0 {
		return n == 2, nil
	}
	top := uint64(math.Sqrt(float64(n))) + 1
	for d := uint64(3); d <= top && d < n; d += 2 {
		if n%d == 0 {
			return false, nil
		}
		if d&0xffff == 1 && ctx.Err() != nil {
			return false, ctx.Err()
		}
	}
	return true, nil
}

// parse reads the number, and answers at once what is none.
func parse(_ context.Context, r *butterfly.Request) (*butterfly.Answer, error) {
	text := r.Get("possible_prime")
	if text == "" {
		text = string(r.Body())
	}
	if text == "" {
		return nil, &butterfly.Problem{Status: http.StatusBadRequest, Detail: "possible_prime is missing: ask as /is_prime?possible_prime=97"}
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		var wrong *strconv.NumError
		errors.As(err, &wrong)
		return nil, &butterfly.Problem{Status: http.StatusBadRequest, Detail: fmt.Sprintf("possible_prime is %.40q: a whole number from 0 to 9223372036854775807 is possible", text)}
	}
	return butterfly.Next(strconv.AppendUint(nil, n, 10)), nil
}

// compute finds out.
func compute(ctx context.Context, r *butterfly.Request) (*butterfly.Answer, error) {
	n, err := strconv.ParseUint(string(r.Body()), 10, 64)
	if err != nil {
		return nil, err
	}
	is, err := isPrime(ctx, n)
	if err != nil {
		return nil, err
	}
	return butterfly.Next(r.Body()).With(is), nil
}

// format answers the client.
func format(_ context.Context, r *butterfly.Request) (*butterfly.Answer, error) {
	var is bool
	if err := r.Decode(0, &is); err != nil {
		return nil, err
	}
	return butterfly.Reply(http.StatusOK, "application/json", fmt.Appendf(nil, "{\"possible_prime\":%s,\"is_prime\":%t}\n", r.Body(), is)), nil
}

// stages are the services of a worker.
func stages(only []string) map[string]assigner.Service {
	all := map[string]butterfly.Handler{"parse": parse, "compute": compute, "format": format}
	services := make(map[string]assigner.Service)
	for name, h := range all {
		if len(only) == 0 || contains(only, name) {
			services[name] = assigner.Service{Threads: assigner.Goroutines, Handler: butterfly.Work(h)}
		}
	}
	return services
}

func contains(all []string, name string) bool {
	for _, s := range all {
		if s == name {
			return true
		}
	}
	return false
}
