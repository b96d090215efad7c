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

// inParts is one body from a Go client through the broker to a Go worker.
func inParts() experiment {
	return experiment{bulkRouted, []string{programTroupe, programTwin}, func(ctx context.Context, h *house) (found values, err error) {
		s, err := h.openScene(ctx, troupe)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, s.close()) }()
		if err := s.add(ctx, h.program(programTwin), "worker", s.at.worker, "1", "thread"); err != nil {
			return nil, err
		}
		p, err := start(false, h.program(programTwin), "bulk", s.at.client, h.bulkBytes())
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, p.leave()) }()
		found = values{}
		return found, p.answer(ctx, &found)
	}}
}
