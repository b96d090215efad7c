package pipeline_test

import (
	"context"
	"fmt"
	"log"
	"strconv"
	"time"

	"github.com/troupe-mq/troupe/patterns/pipeline"
)

// A ventilator, two workers, and a sink that adds up.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ventilator, err := pipeline.NewVentilator(ctx, pipeline.VentilatorConfig{Bind: []string{"tcp://127.0.0.1:0"}})
	if err != nil {
		log.Fatal(err)
	}
	defer ventilator.Close(ctx)
	sink, err := pipeline.NewSink(ctx, pipeline.SinkConfig{Ventilator: ventilator.Addrs()[0], Bind: "tcp://127.0.0.1:0"})
	if err != nil {
		log.Fatal(err)
	}
	defer sink.Close(ctx)
	for range 2 {
		worker, err := pipeline.NewWorker(ctx, pipeline.WorkerConfig{
			Ventilator: ventilator.Addrs()[0],
			Handler: func(_ context.Context, t *pipeline.Task) ([][]byte, error) {
				n, err := strconv.Atoi(string(t.Body[0]))
				return [][]byte{strconv.AppendInt(nil, int64(n*n), 10)}, err
			},
		})
		if err != nil {
			log.Fatal(err)
		}
		defer worker.Close(ctx)
	}
	go func() {
		batch, err := ventilator.Start(ctx, "squares")
		for n := 1; n <= 100 && err == nil; n++ {
			err = batch.Push(ctx, strconv.AppendInt(nil, int64(n), 10))
		}
		if err == nil {
			_, err = batch.End(ctx)
		}
		if err != nil {
			log.Print(err)
		}
	}()
	sum := 0
	for {
		e, err := sink.Receive(ctx)
		if err != nil {
			log.Fatal(err)
		}
		switch e.Kind {
		case pipeline.BatchStarted:
			fmt.Println("batch", e.Name)
		case pipeline.TaskResult:
			n, _ := strconv.Atoi(string(e.Body[0]))
			sum += n
		case pipeline.BatchEnded:
			fmt.Println(e.Results, "results of", e.Tasks, "tasks, sum", sum)
			return
		}
	}
	// Output:
	// batch squares
	// 100 results of 100 tasks, sum 338350
}
