package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

const (
	spreadBrokers = 3
	spreadHits    = 10_000
)

// spreadCount is how many hits are opened: fewer where there is little time.
func (h *house) spreadCount() int {
	if h.budget > 0 {
		return spreadHits / 10
	}
	return spreadHits
}

// inSpread opens hits over three brokers, one of which stands still. None may be lost; the value "spread" is how many the living broker with the most of them
// has, over those of the one with the least.
func inSpread() experiment {
	return experiment{openSpread, []string{programTroupe, programTwin}, func(ctx context.Context, h *house) (found values, err error) {
		count := strconv.Itoa(h.spreadCount())
		args := []string{"spread", count}
		var scenes []*scene
		defer func() {
			for _, s := range scenes {
				err = errors.Join(err, s.close())
			}
		}()
		for range spreadBrokers {
			s, err := h.openScene(ctx, troupe)
			if err != nil {
				return nil, err
			}
			scenes = append(scenes, s)
			args = append(args, s.at.client)
			if err := s.add(ctx, h.program(programTwin), "worker", s.at.worker, count, "goroutine"); err != nil {
				return nil, err
			}
		}
		return playSpread(ctx, h.program(programTwin), scenes[spreadBrokers-1].broker, args)
	}}
}

// playSpread has a client open the hits as soon as the hung broker hangs, which the client still takes for a living one.
func playSpread(ctx context.Context, program string, hung *child, args []string) (found values, err error) {
	p, err := start(false, program, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.leave()) }()
	text, err := p.line(ctx)
	if err != nil {
		return nil, err
	}
	if text != "ready" {
		return nil, fmt.Errorf("the client said %q in place of ready", text)
	}
	if err := hung.Freeze(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, hung.Thaw()) }()
	var told spreading
	if err := p.ask(ctx, &told, "go"); err != nil {
		return nil, err
	}
	return told.judge()
}

// spreading is what the client tells.
type spreading struct {
	Lost    int            // hits that were not opened, or did not answer
	Workers map[string]int // hits by worker; each broker has one
	OpensS  float64        `json:"opens_s"`
}

// judge makes values of it. A hit that was lost, or a living broker without any, is an error.
func (s spreading) judge() (values, error) {
	if s.Lost != 0 {
		return nil, fmt.Errorf("%d hits were lost, with the brokers of %v living", s.Lost, s.Workers)
	}
	if len(s.Workers) != spreadBrokers-1 {
		return nil, fmt.Errorf("hits were opened at the workers %v: %d brokers live", s.Workers, spreadBrokers-1)
	}
	counts := slices.Sorted(maps.Values(s.Workers))
	return values{"spread": float64(counts[len(counts)-1]) / float64(counts[0]), "opens_s": s.OpensS}, nil
}
