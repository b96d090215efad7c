package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/patterns/pipeline"
	"github.com/troupe-mq/troupe/patterns/proxy"
	"github.com/troupe-mq/troupe/patterns/pubsub"
)

var (
	free  = []string{"tcp://127.0.0.1:0"}
	quiet = slog.New(slog.DiscardHandler)
)

// patterns runs a side of a classic pattern; false: it is none.
func patterns(ctx context.Context, args []string) (bool, error) {
	switch {
	case len(args) == 1 && args[0] == "proxy":
		return true, stand(ctx)
	case len(args) == 2 && args[0] == "publish":
		return true, publish(ctx, args[1])
	case len(args) == 5 && args[0] == "subscribe":
		return true, subscribe(ctx, args[1], args[2], args[3:])
	case len(args) == 2 && args[0] == "push":
		return true, ventilate(ctx, args[1])
	case len(args) == 2 && args[0] == "relay":
		return true, passOn(ctx, args[1])
	case len(args) == 4 && args[0] == "pull":
		return true, collect(ctx, args[1], args[2:])
	}
	return false, nil
}

// stand is a proxy between ROUTER and DEALER.
func stand(ctx context.Context) error {
	p, err := proxy.New(ctx, proxy.Config{Kind: proxy.Queue, Front: proxy.Side{Bind: free}, Back: proxy.Side{Bind: free}, Queue: 1 << 20, Logger: quiet})
	if err != nil {
		return err
	}
	fmt.Println("client", p.FrontAddrs()[0])
	fmt.Println("worker", p.BackAddrs()[0])
	<-ctx.Done()
	return p.Close(context.WithoutCancel(ctx))
}

func publish(ctx context.Context, size string) error {
	n, err := strconv.Atoi(size)
	if err != nil {
		return err
	}
	p, err := pubsub.NewPublisher(ctx, pubsub.PublisherConfig{Bind: free, Logger: quiet})
	if err != nil {
		return err
	}
	fmt.Println("publisher", p.Addrs()[0])
	for body := make([]byte, n); ctx.Err() == nil && err == nil; {
		err = p.Publish("t", body)
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// seconds reads WARM and RUN.
func seconds(args []string) (warm, run time.Duration, err error) {
	var all [2]time.Duration
	for i := range all {
		s, wrong := strconv.ParseFloat(args[i], 64)
		err = errors.Join(err, wrong)
		all[i] = time.Duration(s * float64(time.Second))
	}
	return all[0], all[1], err
}

// rate prints how many come in a second.
func rate(ctx context.Context, count *atomic.Uint64, warm, run time.Duration) error {
	for count.Load() == 0 && ctx.Err() == nil {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
		}
	}
	var seen [2]uint64
	for i, pause := range []time.Duration{warm, run} {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		seen[i] = count.Load()
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]float64{"rps": float64(seen[1]-seen[0]) / run.Seconds()})
}

func subscribe(ctx context.Context, endpoint, count string, times []string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	warm, run, err := seconds(times)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	var got atomic.Uint64
	defer all.Wait()
	defer cancel()
	for range n {
		s, err := pubsub.NewSubscriber(ctx, pubsub.SubscriberConfig{Connect: []string{endpoint}, Logger: quiet})
		if err != nil {
			return err
		}
		all.Go(func() {
			for s.SubscribePrefix(ctx, "") == nil {
				for {
					if _, err := s.Receive(ctx); err != nil {
						return
					}
					got.Add(1)
				}
			}
		})
	}
	return rate(ctx, &got, warm, run)
}

func ventilate(ctx context.Context, size string) error {
	n, err := strconv.Atoi(size)
	if err != nil {
		return err
	}
	v, err := pipeline.NewVentilator(ctx, pipeline.VentilatorConfig{Bind: free, Logger: quiet})
	if err != nil {
		return err
	}
	fmt.Println("pusher", v.Addrs()[0])
	b, err := v.Start(ctx, "bench")
	for body := make([]byte, n); ctx.Err() == nil && err == nil; {
		err = b.Push(ctx, body)
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func passOn(ctx context.Context, ventilator string) error {
	w, err := pipeline.NewWorker(ctx, pipeline.WorkerConfig{
		Ventilator: ventilator, Credit: 1000, Logger: quiet,
		Handler: func(_ context.Context, t *pipeline.Task) ([][]byte, error) { return t.Body, nil },
	})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if err := w.Wait(ctx); ctx.Err() == nil {
		return err
	}
	return nil
}

func collect(ctx context.Context, ventilator string, times []string) error {
	warm, run, err := seconds(times)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := pipeline.NewSink(ctx, pipeline.SinkConfig{Ventilator: ventilator, Bind: free[0], Logger: quiet})
	if err != nil {
		return err
	}
	var got atomic.Uint64
	go func() {
		for {
			e, err := s.Receive(ctx)
			if err != nil {
				return
			}
			if e.Kind == pipeline.TaskResult {
				got.Add(1)
			}
		}
	}()
	return rate(ctx, &got, warm, run)
}
