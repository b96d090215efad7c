package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// What tasks cost, and many workers.

const (
	proxyTasks64, tasks64      = "proxy_tasks_W64", "tasks_W64"
	tasksGo                    = "tasks_go"
	fewWorkers, crowdOfWorkers = "few_workers", "crowd_of_workers"
	registerCrowd, askCrowd    = "register_crowd", "ask_crowd"
	crowd                      = 1024
	milliseconds, programCrowd = "ms", "hitcrowd"
)

// tasksC is one-shots, 512 under way, for 64 slots: the rest waits in the broker.
func tasksC(name, kind string) experiment {
	return experiment{name, cPrograms(kind), func(ctx context.Context, h *house) (values, error) {
		return h.stage(ctx, kind, 1, 64, func(s *scene) (values, error) {
			if err := s.open(ctx, 1); err != nil { // the worker is there when this hit is
				return nil, err
			}
			return s.run(ctx, "oneshot 512 32")
		})
	}}
}

// inTasks is the same from Go to Go, by patterns/tasks.
func inTasks() experiment {
	return experiment{tasksGo, []string{programTroupe, programTwin}, func(ctx context.Context, h *house) (found values, err error) {
		s, err := h.openScene(ctx, troupe)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, s.close()) }()
		if err := s.add(ctx, h.program(programTwin), "worker", s.at.worker, "512", "goroutine"); err != nil {
			return nil, err
		}
		p, err := start(false, h.program(programTwin), "tasks", s.at.client, "512", "32", h.warm.String(), h.pace.run.String())
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, p.leave()) }()
		found = values{}
		return found, p.answer(ctx, &found)
	}}
}

// withCrowd measures with so many workers, each a connection of its own, and 1,024 slots between them.
func withCrowd(name string, workers int) experiment {
	return experiment{name, []string{programCrowd, programLoad, programTroupe}, func(ctx context.Context, h *house) (found values, err error) {
		s, err := h.openScene(ctx, troupe)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, s.close()) }()
		if err := s.add(ctx, h.program(programCrowd), s.at.worker, strconv.Itoa(workers), strconv.Itoa(crowd/workers)); err != nil {
			return nil, err
		}
		if s.load, err = startWith(s.env, false, h.program(programLoad), s.at.client, troupe); err != nil {
			return nil, err
		}
		return s.run(ctx, "oneshot 512 32")
	}}
}

// runRegisterCrowd is the time from the start of a process with 1,024 workers until all are registered, in ms.
func runRegisterCrowd(ctx context.Context, h *house) (found values, err error) {
	s, err := h.openScene(ctx, troupe)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	begun := time.Now()
	if err := s.add(ctx, h.program(programCrowd), s.at.worker, strconv.Itoa(crowd), "1"); err != nil {
		return nil, err
	}
	return values{"ms": float64(time.Since(begun).Microseconds()) / 1e3}, nil
}

// runAskCrowd is a question to 1,024 workers, until the ledger is complete, in ms.
func runAskCrowd(ctx context.Context, h *house) (found values, err error) {
	s, err := h.openScene(ctx, troupe)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.add(ctx, h.program(programCrowd), s.at.worker, strconv.Itoa(crowd), "1"); err != nil {
		return nil, err
	}
	p, err := start(false, h.program(programTwin), "all", s.at.client, "10")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.leave()) }()
	found = values{}
	if err := p.answer(ctx, &found); err != nil {
		return nil, err
	}
	if found["answered"] != crowd {
		return nil, fmt.Errorf("%v of %d workers have answered", found["answered"], crowd)
	}
	return found, nil
}
