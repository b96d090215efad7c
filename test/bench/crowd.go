package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"time"
)

// What tasks cost, and many workers.

const (
	proxyTasks64, tasks64      = "proxy_tasks_W64", "tasks_W64"
	tasksGo                    = "tasks_go"
	fewWorkers, crowdOfWorkers = "few_workers", "crowd_of_workers"
	registerCrowd, askCrowd    = "register_crowd", "ask_crowd"
	askFrozen                  = "ask_frozen"
	millionQueued              = "million_queued"
	crowd                      = 1024
	million, queuedBody        = 1_000_000, 32
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
	return h.askCrowd(ctx, 0, "10")
}

// frozenWorkers of the crowd stand still when it is asked.
const frozenWorkers = 3

func runAskFrozen(ctx context.Context, h *house) (found values, err error) {
	return h.askCrowd(ctx, frozenWorkers, "1")
}

// askCrowd asks so many times; some of the workers have a process of their own each, which is stopped before.
func (h *house) askCrowd(ctx context.Context, frozen int, times string) (found values, err error) {
	s, err := h.openScene(ctx, troupe)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	for range frozen {
		if err := s.add(ctx, h.program(programTwin), "worker", s.at.worker, "1", "goroutine"); err != nil {
			return nil, err
		}
	}
	stopped := s.others
	if err := s.add(ctx, h.program(programCrowd), s.at.worker, strconv.Itoa(crowd-frozen), "1"); err != nil {
		return nil, err
	}
	for _, p := range stopped {
		if err := p.Freeze(ctx); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, p.Thaw()) }()
	}
	p, err := start(false, h.program(programTwin), "all", s.at.client, times)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.leave()) }()
	found = values{}
	if err := p.answer(ctx, &found); err != nil {
		return nil, err
	}
	if found["answered"] != float64(crowd-frozen) || found["lost"] != float64(frozen) {
		return nil, fmt.Errorf("of %d workers %v have answered and %v are lost: %d stand still", crowd, found["answered"], found["lost"], frozen)
	}
	return found, nil
}

// runMillion queues a million tasks, and looks into the queue, and empties it.
func runMillion(ctx context.Context, h *house) (found values, err error) {
	s, err := h.openScene(ctx, troupe, "--max-queue", strconv.Itoa(2*million), "--max-wait", "1h")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.add(ctx, h.program(programTwin), "idle", s.at.worker, "1"); err != nil {
		return nil, err
	}
	before, err := memory(s.broker.PID(), "VmRSS")
	if err != nil {
		return nil, err
	}
	if err := s.add(ctx, h.program(programTwin), "flood", s.at.client, strconv.Itoa(million+1), strconv.Itoa(queuedBody)); err != nil {
		return nil, err
	}
	p, err := start(false, h.program(programTwin), "survey", s.at.client, strconv.Itoa(million))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.leave()) }()
	if _, err := p.line(ctx); err != nil { // "queued"
		return nil, err
	}
	after, err := memory(s.broker.PID(), "VmRSS")
	if err != nil {
		return nil, err
	}
	found = values{}
	if err := wait(ctx, 11*time.Second); err != nil { // then the counter knows nothing of the flood
		return nil, err
	}
	if err := p.ask(ctx, &found, "go"); err != nil {
		return nil, err
	}
	found["bytes"] = (after-before)/million - queuedBody
	found["turn_ms"], err = s.counter(ctx, "longest_turn_us")
	found["turn_ms"] /= 1e3
	return found, err
}

// counter is one of the broker's.
func (s *scene) counter(ctx context.Context, name string) (float64, error) {
	said, err := exec.CommandContext(ctx, s.house.program(programTroupe), "status", "-o", "json", "--broker", s.at.client).Output()
	if err != nil {
		return 0, fmt.Errorf("troupe status: %w", err)
	}
	var status struct{ Counters map[string]float64 }
	if err := json.Unmarshal(said, &status); err != nil {
		return 0, err
	}
	v, ok := status.Counters[name]
	if !ok {
		return 0, fmt.Errorf("the broker has no counter %s", name)
	}
	return v, nil
}
