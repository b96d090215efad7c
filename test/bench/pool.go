package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// A pool of 64 members on four hosts: four run directories, whose masters meet on the loopback interface.

const (
	askPool     = "ask_pool"
	poolMembers = 64
	poolHosts   = 4
	// poolMessages is what a question to n members on h hosts costs without faults: n + 2h down, 3n + 2h up, n + 2h to forget (docs/protocol/pool.md).
	poolMessages = 5*poolMembers + 6*poolHosts
)

func runAskPool(ctx context.Context, h *house) (found values, err error) {
	var dirs, at []string
	for range poolHosts {
		dir, err := os.MkdirTemp("/tmp", "pool") // short: a socket's path has a limit
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		dirs, at = append(dirs, dir), append(at, port)
	}
	s := &scene{house: h}
	defer func() {
		for _, m := range s.others { // two of them are no more
			m.Kill()
			<-m.Done()
		}
	}()
	for i := range poolMembers {
		host, peers := i%poolHosts, "-"
		if host > 0 {
			peers = strings.Join(at[:host], ",")
		}
		if err := s.add(ctx, h.program(programTwin), "member", strconv.Itoa(i), dirs[host], at[host], peers); err != nil {
			return nil, fmt.Errorf("member %d: %w", i, err)
		}
	}
	p, err := start(false, h.program(programTwin), append([]string{"inquire", strconv.Itoa(poolMembers), "200"}, dirs...)...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.leave()) }()
	found = values{}
	return found, p.answer(ctx, &found)
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
