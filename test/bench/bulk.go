package main

import (
	"context"
	"errors"
	"strconv"
	"strings"
)

// bulkBytes is how much a body has: less where there is little time.
func (h *house) bulkBytes() string {
	if h.budget > 0 {
		return strconv.Itoa(256 << 20)
	}
	return strconv.Itoa(1 << 30)
}

// inPushPull is the peer of large bodies.
func inPushPull() experiment {
	return experiment{pushPull, []string{programBulk}, func(ctx context.Context, h *house) (found values, err error) {
		puller, err := start(false, h.program(programBulk), "pull", h.bulkBytes())
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, puller.leave()) }()
		text, err := puller.line(ctx)
		if err != nil {
			return nil, err
		}
		pusher, err := start(false, h.program(programBulk), "push", strings.TrimPrefix(text, "pull "), h.bulkBytes())
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, pusher.leave()) }()
		found = values{}
		return found, puller.answer(ctx, &found)
	}}
}

// inParts is one body from a Go client to a Go worker, through the broker or past it.
func inParts(name, route string) experiment {
	return experiment{name, []string{programTroupe, programTwin}, func(ctx context.Context, h *house) (found values, err error) {
		s, err := h.openScene(ctx, troupe)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, s.close()) }()
		if err := s.add(ctx, h.program(programTwin), "worker", s.at.worker, "1", "thread"); err != nil {
			return nil, err
		}
		p, err := start(false, h.program(programTwin), "bulk", s.at.client, h.bulkBytes(), route)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, p.leave()) }()
		found = values{}
		return found, p.answer(ctx, &found)
	}}
}

// besideHits is how many hits make small calls while a large body flows, one call under way each.
const besideHits = 8

// runBesideBulk compares small calls that have broker and worker for themselves with small calls beside a body in parts, before and after it.
func runBesideBulk(ctx context.Context, h *house) (found values, err error) {
	s, err := h.openScene(ctx, troupe)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.add(ctx, h.program(programTwin), "worker", s.at.worker, strconv.Itoa(besideHits+1), "thread"); err != nil {
		return nil, err
	}
	small := func() (values, error) { return h.client(ctx, programTwin, s.at.client, strconv.Itoa(besideHits)) }
	before, err := small()
	if err != nil {
		return nil, err
	}
	large, err := start(false, h.program(programTwin), "bulk", s.at.client, strconv.Itoa(1<<40), "routed")
	if err != nil {
		return nil, err
	}
	beside, err := small()
	select {
	case <-large.Done():
		err = errors.Join(err, errors.New("the large body ended before the small calls did"))
	default:
	}
	if err := errors.Join(err, large.stop()); err != nil {
		return nil, err
	}
	after, err := small()
	if err != nil {
		return nil, err
	}
	return values{"p99": beside["p99"], "alone_p99": (before["p99"] + after["p99"]) / 2}, nil
}
