package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/troupe-mq/troupe/patterns/pipeline"
)

func ventilator(ctx context.Context, out io.Writer, args []string) error {
	n, err := count(args, 0)
	if err != nil {
		return err
	}
	v, err := pipeline.NewVentilator(ctx, pipeline.VentilatorConfig{Bind: args[:1]})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "giving out tasks at", v.Addrs()[0])
	batch, err := v.Start(ctx, "work") // the sink is there now; who else comes gets its share
	for i := 0; i < n && err == nil; i++ {
		err = batch.Push(ctx, []byte(strconv.Itoa(1+rand.IntN(20)))) // milliseconds
	}
	if err == nil {
		_, err = batch.End(ctx) // all results have come, or are reported missing
	}
	if err == nil {
		err = v.Kill("the batch is done")
	}
	return errors.Join(err, v.Close(context.WithoutCancel(ctx)))
}

func pipelineWorker(ctx context.Context, out io.Writer, args []string) error {
	w, err := pipeline.NewWorker(ctx, pipeline.WorkerConfig{
		Ventilator: args[0],
		Handler: func(ctx context.Context, t *pipeline.Task) ([][]byte, error) {
			ms, err := strconv.Atoi(string(t.Body[0]))
			if err != nil {
				return nil, err
			}
			select {
			case <-time.After(time.Duration(ms) * time.Millisecond):
				fmt.Fprint(out, ".")
				return t.Body, nil
			case <-ctx.Done(): // killed
				return nil, ctx.Err()
			}
		},
	})
	if err != nil {
		return err
	}
	err = w.Wait(ctx)
	fmt.Fprintln(out)
	if errors.Is(err, pipeline.ErrKilled) {
		fmt.Fprintln(out, "ended:", err)
		err = nil
	}
	return errors.Join(err, w.Close(context.WithoutCancel(ctx)))
}

func sink(ctx context.Context, out io.Writer, args []string) error {
	s, err := pipeline.NewSink(ctx, pipeline.SinkConfig{Ventilator: args[0], Bind: args[1]})
	if err != nil {
		return err
	}
	total, began := 0, time.Now()
	for err == nil {
		var e *pipeline.Event
		if e, err = s.Receive(ctx); err != nil {
			break
		}
		switch e.Kind {
		case pipeline.BatchStarted:
			began = time.Now()
		case pipeline.TaskResult:
			ms, _ := strconv.Atoi(string(e.Body[0]))
			total += ms
		case pipeline.BatchEnded:
			fmt.Fprintf(out, "%d results of %d tasks, %d ms of work in %d ms\n", e.Results, e.Tasks, total, time.Since(began).Milliseconds())
			return s.Close(context.WithoutCancel(ctx))
		}
	}
	return errors.Join(err, s.Close(context.WithoutCancel(ctx)))
}
