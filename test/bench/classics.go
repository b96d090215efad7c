package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The classic patterns against plain sockets in C.

const (
	programRaw                = "rawpat"
	proxyPlain, proxyOurs     = "proxy_plain", "proxy_ours"
	pipePlain, pipeOurs       = "pipe_plain", "pipe_ours"
	peerPubSub, peerPipe      = "PUB/SUB", "PUSH/PULL chain"
	messagesPerSecond, patKiB = "msg/s", 32
)

func fanName(kind string, subscribers int) string { return fmt.Sprintf("fan_%s_%d", kind, subscribers) }

// proxied is calls through a proxy of ROUTER and DEALER, 512 under way.
func proxied(name, kind string) experiment {
	needs := []string{programLoad, programWorker, programProxy}
	if kind == troupe {
		needs[2] = programTwin
	}
	return experiment{name, needs, func(ctx context.Context, h *house) (found values, err error) {
		command := []string{h.program(programProxy)}
		if kind == troupe {
			command = []string{h.program(programTwin), "proxy"}
		}
		s, err := h.openBroker(ctx, peer, command)
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

// side is the program of one side: plain sockets in C, or ours.
func side(kind string) string {
	if kind == troupe {
		return programTwin
	}
	return programRaw
}

// begin starts a program that says where it is, and goes on.
func (h *house) begin(ctx context.Context, kind, says string, args ...string) (*child, string, error) {
	p, err := start(false, h.program(side(kind)), args...)
	if err != nil {
		return nil, "", err
	}
	text, err := p.line(ctx)
	if err != nil {
		return p, "", err
	}
	at, ok := strings.CutPrefix(text, says)
	if !ok {
		err = fmt.Errorf("%s says %q in place of %q", p.Name(), text, says)
	}
	return p, strings.TrimSpace(at), err
}

func (h *house) times() []string {
	return []string{fmt.Sprint(h.warm.Seconds()), fmt.Sprint(h.pace.run.Seconds())}
}

// fanned is a publisher that floods, and so many subscribers in another process.
func fanned(kind string, subscribers int) experiment {
	return experiment{fanName(kind, subscribers), []string{side(kind)}, func(ctx context.Context, h *house) (found values, err error) {
		pub, at, err := h.begin(ctx, kind, "publisher ", "publish", strconv.Itoa(patKiB))
		if pub != nil {
			defer func() { err = errors.Join(err, pub.stop()) }()
		}
		if err != nil {
			return nil, err
		}
		sub, err := start(false, h.program(side(kind)), append([]string{"subscribe", at, strconv.Itoa(subscribers)}, h.times()...)...)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, sub.leave()) }()
		found = values{}
		return found, sub.answer(ctx, &found)
	}}
}

// piped is tasks from one process through a second one to a third.
func piped(name, kind string) experiment {
	return experiment{name, []string{side(kind)}, func(ctx context.Context, h *house) (found values, err error) {
		from, at, err := h.begin(ctx, kind, "pusher ", "push", strconv.Itoa(patKiB))
		if from != nil {
			defer func() { err = errors.Join(err, from.stop()) }()
		}
		if err != nil {
			return nil, err
		}
		var sink *child
		relay := []string{"relay", at}
		if kind == troupe {
			sink, err = start(false, h.program(programTwin), append([]string{"pull", at}, h.times()...)...)
		} else {
			var to string
			sink, to, err = h.begin(ctx, kind, "puller ", append([]string{"pull"}, h.times()...)...)
			relay = append(relay, to)
		}
		if sink != nil {
			defer func() { err = errors.Join(err, sink.leave()) }()
		}
		if err != nil {
			return nil, err
		}
		middle, _, err := h.begin(ctx, kind, "ready", relay...)
		if middle != nil {
			defer func() { err = errors.Join(err, middle.stop()) }()
		}
		if err != nil {
			return nil, err
		}
		found = values{}
		return found, sink.answer(ctx, &found)
	}}
}
