package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// sceneDeadline is how long one experiment may take; the longest opens 100,000 hits and runs three times.
const sceneDeadline = 90 * time.Second

// endpoints are where a broker listens.
type endpoints struct{ client, worker string }

// scene is a broker with the processes around it.
type scene struct {
	house  *house
	kind   string // troupe or peer: what load client and worker speak
	broker *child
	at     endpoints
	others []*child // stopped before the broker, the last first
	load   *child
	env    []string // of the load client and the others, in addition
}

// brokerCommand is the command line of Troupe's broker. It prints the endpoints that it has bound.
func (h *house) brokerCommand() []string {
	if h.broker != "" {
		return strings.Fields(h.broker)
	}
	return []string{h.program(programTroupe), "broker", "--client", "tcp://127.0.0.1:0", "--worker", "tcp://127.0.0.1:0"}
}

// openScene starts a broker, Troupe's with these flags, and waits for its endpoints.
func (h *house) openScene(ctx context.Context, kind string, flags ...string) (*scene, error) {
	command := append(h.brokerCommand(), flags...)
	if kind == peer {
		command = []string{h.program(programProxy)}
	}
	return h.openBroker(ctx, kind, command)
}

// openBroker starts a broker by this command line, with so much more in its environment.
func (h *house) openBroker(ctx context.Context, kind string, command []string, env ...string) (*scene, error) {
	broker, err := startWith(env, false, command[0], command[1:]...)
	if err != nil {
		return nil, err
	}
	s := &scene{house: h, kind: kind, broker: broker}
	for s.at.client == "" || s.at.worker == "" {
		text, err := broker.line(ctx)
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.at.read(text)
	}
	return s, nil
}

var endpointLine = regexp.MustCompile(`(?i)\b(client|worker)s?\b\W*(?:at |on )?((?:tcp|ipc)://[^\s",]+)`)

// read takes the endpoints that a line names, as "client tcp://127.0.0.1:40123".
func (e *endpoints) read(text string) {
	for _, found := range endpointLine.FindAllStringSubmatch(text, -1) {
		if found[1][0]|0x20 == 'c' {
			e.client = found[2]
		} else {
			e.worker = found[2]
		}
	}
}

// startC starts C workers with the slots between them, and the load client.
func (s *scene) startC(ctx context.Context, workers, slots int) error {
	for range workers {
		if err := s.add(ctx, s.house.program(programWorker), s.at.worker, s.kind, strconv.Itoa(slots/workers)); err != nil {
			return err
		}
	}
	var err error
	s.load, err = startWith(s.env, false, s.house.program(programLoad), s.at.client, s.kind)
	return err
}

// add starts a process of the scene and waits until it says that it is ready.
func (s *scene) add(ctx context.Context, program string, args ...string) error {
	p, err := startWith(s.env, false, program, args...)
	if err != nil {
		return err
	}
	s.others = append(s.others, p)
	for text := ""; text != "ready"; {
		if text, err = p.line(ctx); err != nil {
			return err
		}
	}
	return nil
}

// open has the load client open hits until there are so many.
func (s *scene) open(ctx context.Context, hits int) error {
	var opened struct{ Open int }
	if err := s.load.ask(ctx, &opened, "open %d", hits); err != nil {
		return err
	}
	if opened.Open != hits {
		return fmt.Errorf("%d hits are open instead of %d", opened.Open, hits)
	}
	return nil
}

// run has the load client make calls, and measures what the broker uses for them: "cpu" in us per call.
func (s *scene) run(ctx context.Context, command string) (values, error) {
	before, err := cpu(s.broker.PID())
	if err != nil {
		return nil, err
	}
	found := values{}
	if err := s.load.ask(ctx, &found, "%s %f %f", command, s.house.warm.Seconds(), s.house.run.Seconds()); err != nil {
		return nil, err
	}
	if found["n"] == 0 {
		return nil, fmt.Errorf("no call of %q was answered in the measured time", command)
	}
	after, err := cpu(s.broker.PID())
	found["cpu"] = float64((after - before).Nanoseconds()) / 1e3 / found["total"]
	return found, err
}

// close stops everything: the client, the workers, the broker.
func (s *scene) close() error {
	var errs []error
	if s.load != nil {
		errs = append(errs, s.load.leave())
	}
	for i := len(s.others) - 1; i >= 0; i-- {
		errs = append(errs, s.others[i].stop())
	}
	return errors.Join(append(errs, s.broker.stop())...)
}
