package main

import (
	"context"
	"errors"
	"regexp"
)

var natsListens = regexp.MustCompile(`Listening for client connections on (\S+)`)

// inNATS is the peer in Go: every call is an nc.Request to a queue subscription, 512 at a time.
func inNATS() experiment {
	return experiment{natsRequest, []string{natsServer, programNATS}, func(ctx context.Context, h *house) (found values, err error) {
		path, err := findNATS()
		if err != nil {
			return nil, err
		}
		server, err := start(true, path, "--addr", "127.0.0.1", "--port", "-1") // any free port
		if err != nil {
			return nil, err
		}
		s := &scene{house: h, kind: peer, broker: server}
		defer func() { err = errors.Join(err, s.close()) }()
		url, err := natsURL(ctx, server)
		if err != nil {
			return nil, err
		}
		if err := s.add(ctx, h.program(programNATS), "worker", url); err != nil {
			return nil, err
		}
		return h.client(ctx, programNATS, url, "512")
	}}
}

// natsURL waits for the line of the server's log that names its port.
func natsURL(ctx context.Context, server *child) (string, error) {
	for {
		text, err := server.line(ctx)
		if err != nil {
			return "", err
		}
		if found := natsListens.FindStringSubmatch(text); found != nil {
			return "nats://" + found[1], nil
		}
	}
}
