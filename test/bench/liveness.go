package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// What it costs to judge: workers that do nothing, and calls under leases.

const (
	idleWorkers   = "idle_workers"
	bareBeats     = "bare_heartbeats"
	peerBeats     = "a bare ROUTER's heartbeats"
	leased        = "leased_32B_W512"
	unleased      = "unleased_32B_W512"
	manyIdle      = 1024
	percentOfCore = "% of a core"
)

// idle is the broker's time for workers that give signs of life and have nothing to do; or that of a bare ROUTER, which sends them libzmq's heartbeats and does nothing else.
func idle(name, kind string) experiment {
	needs := []string{programTroupe, programTwin}
	if kind == peer {
		needs[0] = programRaw
	}
	return experiment{name, needs, func(ctx context.Context, h *house) (values, error) {
		command := h.brokerCommand()
		if kind == peer {
			command = []string{h.program(programRaw), "beats"}
		}
		s, err := h.openBroker(ctx, kind, command)
		if err != nil {
			return nil, err
		}
		return s.idle(ctx)
	}}
}

func (s *scene) idle(ctx context.Context) (found values, err error) {
	h := s.house
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.add(ctx, h.program(programTwin), "idle", s.at.worker, strconv.Itoa(manyIdle)); err != nil {
		return nil, err
	}
	if err := wait(ctx, 2*h.pace.run); err != nil {
		return nil, err
	}
	before, err := cpu(s.broker.PID())
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	if err := wait(ctx, 5*h.pace.run); err != nil {
		return nil, err
	}
	after, err := cpu(s.broker.PID())
	return values{"percent": 100 * float64(after-before) / float64(time.Since(begun))}, err
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("measuring idle workers: %w", context.Cause(ctx))
	}
}

// underLeases is calls over open hits, with the broker judging calls or not.
func underLeases(name, stuck string) experiment {
	return experiment{name, cPrograms(troupe), func(ctx context.Context, h *house) (found values, err error) {
		s, err := h.openScene(ctx, troupe, "--stuck", stuck)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, s.close()) }()
		if err := s.startC(ctx, 1, routedHits); err != nil {
			return nil, err
		}
		if err := s.open(ctx, routedHits); err != nil {
			return nil, err
		}
		return s.run(ctx, fmt.Sprintf("run %d 512 32", routedHits))
	}}
}
