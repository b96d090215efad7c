package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/patterns/butterfly"
)

// house is everything in one process: a broker, a worker for each stage, and the front.
type house struct {
	broker  *assigner.Broker
	workers []*assigner.Worker
	front   *butterfly.Front
}

func build(ctx context.Context, o options, access io.Writer) (h *house, err error) {
	h = &house{}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	name := fmt.Sprintf("inproc://primed-%d", os.Getpid())
	h.broker, err = assigner.NewBroker(assigner.BrokerConfig{Clients: []string{name + "-clients"}, Workers: []string{name + "-workers"}, MaxQueue: 1 << 16})
	if err != nil {
		return h, err
	}
	if err = h.broker.Start(ctx); err != nil {
		return h, err
	}
	for stage := range stages(nil) {
		w, err := assigner.NewWorker(assigner.WorkerConfig{Broker: name + "-workers", Name: stage, Slots: o.workers, Services: stages([]string{stage})})
		if err == nil {
			err = w.Start(ctx)
		}
		if err != nil {
			return h, err
		}
		h.workers = append(h.workers, w)
	}
	h.front, err = butterfly.New(ctx, butterfly.Config{
		Client: assigner.ClientConfig{Broker: name + "-clients"}, AccessLog: access, Timeout: time.Minute,
		Routes: []butterfly.Route{{Pattern: "GET /is_prime", Stages: []string{"parse", "compute", "format"}}, {Pattern: "POST /is_prime", Stages: []string{"parse", "compute", "format"}}},
	})
	return h, err
}

// close ends what there is, in reverse order.
func (h *house) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var errs []error
	if h.front != nil {
		errs = append(errs, h.front.Close(ctx))
	}
	for _, w := range h.workers {
		errs = append(errs, w.Close(ctx))
	}
	if h.broker != nil {
		errs = append(errs, h.broker.Close(ctx))
	}
	return errors.Join(errs...)
}

// serve is primed alone.
func serve(ctx context.Context, o options, out, talk io.Writer) error {
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	h, err := build(ctx, o, out)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer func() { _ = h.close() }()
	ended := make(chan error, 1)
	if o.netstring == "" {
		ended <- nil
	} else {
		plain, err := net.Listen("tcp", o.netstring)
		if err != nil {
			return errors.Join(err, l.Close())
		}
		fmt.Fprintf(talk, "netstrings at %s\n", plain.Addr())
		go func() { ended <- h.front.ServeNetstrings(ctx, plain, "/is_prime") }()
	}
	fmt.Fprintf(talk, "try http://%s/is_prime?possible_prime=32416190071 or the page at http://%[1]s/\n", l.Addr())
	s := &http.Server{Handler: h.page(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	select {
	case <-ctx.Done():
	case err := <-served:
		return err
	}
	last, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(s.Shutdown(last), <-ended)
}

// work is primed as workers of a broker elsewhere.
func work(ctx context.Context, o options, talk io.Writer) error {
	var only []string
	if o.only != "" {
		only = strings.Split(o.only, ",")
	}
	w, err := assigner.NewWorker(assigner.WorkerConfig{Broker: o.join, Slots: o.workers, Services: stages(only)})
	if err != nil {
		return &usageError{err}
	}
	if err := w.Start(ctx); err != nil {
		return err
	}
	fmt.Fprintf(talk, "working for %s\n", o.join)
	err = w.Wait(ctx)
	end, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err == nil {
		_ = w.Drain(end)
	}
	return errors.Join(err, w.Close(end))
}
