package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

const (
	troupe = "troupe"
	peer   = "peer"

	routedHits = 1000
	manyCount  = 100_000
	manySlots  = 100_200 // two workers: one may have at most 65,535
	manyCalls  = 100     // under way, whether over 100 hits or over 100,000
)

// experiment is one measurement of one side.
type experiment struct {
	name  string
	needs []string
	run   func(context.Context, *house) (values, error)
}

// pairs are taken in turn; in every other round the second of a pair comes first.
var pairs = [][]experiment{
	{routed(proxy512, peer, 512, 32), routed(troupe512, troupe, 512, 32), curve(curveTroupe512, troupe), curve(curveProxy512, peer)},
	{routed(proxy64, peer, 64, 32), routed(troupe64, troupe, 64, 32)},
	{routed(proxyKiB, peer, 512, 1024), routed(troupeKiB, troupe, 512, 1024)},
	{routed(proxy1, peer, 1, 32), routed(troupe1, troupe, 1, 32)},
	{oneshot(proxyOneshot, peer), oneshot(troupeOneshot, troupe)},
	{direct(echo512, peer), direct(direct512, troupe)},
	{inNATS(), inGo(goroutine512, "goroutine", 512), inGo(thread512, "thread", 512)},
	{inGo(goroutine64, "goroutine", 64), inGo(thread64, "thread", 64)},
	{inPushPull(), inParts(bulkRouted, "routed"), inParts(bulkDirect, "direct")},
	{{besideBulk, []string{programTroupe, programTwin}, runBesideBulk}},
	{underLeases(unleased, "0"), underLeases(leased, "10s")},
	{idle(bareBeats, peer), idle(idleWorkers, troupe)},
	{{manyHits, cPrograms(troupe), runManyHits}},
	{inSpread()},
	{tasksC(proxyTasks64, peer), tasksC(tasks64, troupe)},
	{inTasks()},
	{inIPython(), inPython()},
	{withCrowd(fewWorkers, 4), withCrowd(crowdOfWorkers, crowd)},
	{{registerCrowd, []string{programCrowd, programTroupe}, runRegisterCrowd}},
	{{askCrowd, []string{programCrowd, programTroupe, programTwin}, runAskCrowd}},
	{{askFrozen, []string{programCrowd, programTroupe, programTwin}, runAskFrozen}},
	{{millionQueued, []string{programTroupe, programTwin}, runMillion}},
	{{askPool, []string{programTwin}, runAskPool}},
	{small(peer, 8), small(troupe, 8)},
	{small(peer, 64), small(troupe, 64)},
	{mixedPlain(), mixed(1), mixed(2)},
	{{hops, []string{programTroupe, programTwin}, runHops}},
	{{webMemory, []string{programTroupe, programTwin, programWrk}, runWebMemory}},
	{proxied(proxyPlain, peer), proxied(proxyOurs, troupe)},
	{piped(pipePlain, peer), piped(pipeOurs, troupe)},
	{fanned(peer, 1), fanned(troupe, 1)},
	{fanned(peer, 8), fanned(troupe, 8)},
	{fanned(peer, 64), fanned(troupe, 64)},
}

func cPrograms(kind string) []string {
	if kind == peer {
		return []string{programLoad, programWorker, programProxy}
	}
	return []string{programLoad, programWorker, programTroupe}
}

// routed is calls over 1,000 open hits, with the peak of the broker's memory in MiB.
func routed(name, kind string, calls, size int) experiment {
	return experiment{name, cPrograms(kind), func(ctx context.Context, h *house) (values, error) {
		return h.stage(ctx, kind, 1, routedHits, func(s *scene) (values, error) {
			if err := s.open(ctx, routedHits); err != nil {
				return nil, err
			}
			found, err := s.run(ctx, fmt.Sprintf("run %d %d %d", routedHits, calls, size))
			if err != nil {
				return nil, err
			}
			peak, err := memory(s.broker.PID(), "VmHWM")
			found["peak"] = peak / (1 << 20)
			return found, err
		})
	}}
}

// oneshot is hits that are opened, called and closed in one message.
func oneshot(name, kind string) experiment {
	return experiment{name, cPrograms(kind), func(ctx context.Context, h *house) (values, error) {
		return h.stage(ctx, kind, 1, routedHits, func(s *scene) (values, error) {
			if err := s.open(ctx, 1); err != nil { // the worker is there when this hit is
				return nil, err
			}
			return s.run(ctx, "oneshot 512 32")
		})
	}}
}

// direct is 512 calls under way on one connection: of a direct hit to its worker, or to a ROUTER that sends all back.
func direct(name, kind string) experiment {
	needs := []string{programLoad, programEcho}
	if kind == troupe {
		needs = []string{programLoad, programDirect, programTroupe}
	}
	return experiment{name, needs, func(ctx context.Context, h *house) (found values, err error) {
		command, mode := h.brokerCommand(), "direct"
		if kind == peer {
			command, mode = []string{h.program(programEcho)}, peer
		}
		s, err := h.openBroker(ctx, kind, command)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, s.close()) }()
		if kind == troupe {
			if err := s.add(ctx, h.program(programDirect), s.at.worker, "1"); err != nil {
				return nil, err
			}
		}
		if s.load, err = start(false, h.program(programLoad), s.at.client, mode); err != nil {
			return nil, err
		}
		if err := s.open(ctx, 1); err != nil {
			return nil, err
		}
		return s.run(ctx, "run 1 512 32")
	}}
}

// runManyHits compares the broker's work per call over 100 hits with that over 100,000, in one and the same broker.
func runManyHits(ctx context.Context, h *house) (values, error) {
	return h.stage(ctx, troupe, 2, manySlots, func(s *scene) (values, error) {
		found := values{}
		run := func(key string, active int) error {
			v, err := s.run(ctx, fmt.Sprintf("run %d %d 32", active, manyCalls))
			found[key] = v["cpu"]
			return err
		}
		if err := s.open(ctx, manyCalls); err != nil {
			return nil, err
		}
		if err := run("few_cpu", manyCalls); err != nil {
			return nil, err
		}
		before, err := memory(s.broker.PID(), "VmRSS")
		if err != nil {
			return nil, err
		}
		if err := s.open(ctx, manyCount); err != nil {
			return nil, err
		}
		after, err := memory(s.broker.PID(), "VmRSS")
		found["hit_bytes"] = (after - before) / (manyCount - manyCalls)
		return found, errors.Join(err, run("active_cpu", 1000), run("uniform_cpu", manyCount))
	})
}

// stage opens a scene with C workers and a load client, plays it and takes it down.
func (h *house) stage(ctx context.Context, kind string, workers, slots int, play func(*scene) (values, error)) (found values, err error) {
	s, err := h.openScene(ctx, kind)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.startC(ctx, workers, slots); err != nil {
		return nil, err
	}
	return play(s)
}

// inGo is Troupe with Go client and Go worker: so many slots, each with a hit and one call under way.
func inGo(name, threads string, slots int) experiment {
	return experiment{name, []string{programTroupe, programTwin}, func(ctx context.Context, h *house) (found values, err error) {
		s, err := h.openScene(ctx, troupe)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, s.close()) }()
		count := strconv.Itoa(slots)
		if err := s.add(ctx, h.program(programTwin), "worker", s.at.worker, count, threads); err != nil {
			return nil, err
		}
		return h.client(ctx, programTwin, s.at.client, count)
	}}
}

// client runs a Go load client to its end.
func (h *house) client(ctx context.Context, program, endpoint, calls string) (found values, err error) {
	p, err := start(false, h.program(program), "client", endpoint, calls, "32", h.warm.String(), h.pace.run.String())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.leave()) }()
	found = values{}
	return found, p.answer(ctx, &found)
}
