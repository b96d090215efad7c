package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/troupe-mq/troupe/actors/access"
	"github.com/troupe-mq/troupe/patterns/assigner/keys"
)

// What encryption costs: calls with CURVE, through Troupe's broker and through zmq_proxy.

const (
	curveProxy512  = "curve_proxy_32B_W512"
	curveTroupe512 = "curve_troupe_32B_W512"
	peerCurve      = "C zmq_proxy, CURVE"
)

// encrypted is a broker's folder of keys, and what the C programs on both sides of it find in their environment.
type encrypted struct {
	dir           string
	proxy, others []string
}

// newEncrypted makes fresh keys in a folder of its own: those of a broker, and one that may everything.
func (h *house) newEncrypted() (*encrypted, error) {
	path, err := os.MkdirTemp(h.temp, "keys-")
	if err != nil {
		return nil, err
	}
	dir, broker, err := keys.Init(filepath.Join(path, "keys"))
	if err != nil {
		return nil, err
	}
	public, err := access.ParseKey(broker)
	if err != nil {
		return nil, err
	}
	handed, own, err := keys.Make(public)
	if err != nil {
		return nil, err
	}
	all := access.Services{access.All}
	err = dir.Update(func(b *access.Book) (*access.Book, error) {
		return b.With(access.Entry{Name: "bench", Key: own, Rights: access.Rights{Client: all, Worker: all}})
	})
	secret, unreadable := dir.Secret()
	return &encrypted{
		dir: dir.Path, proxy: []string{"CURVE_SECRET=" + secret},
		others: []string{"CURVE_SERVER=" + broker, "CURVE_PUBLIC=" + own.String(), "CURVE_SECRET=" + handed.Secret.String()},
	}, errors.Join(err, unreadable)
}

// curve is routed with every connection encrypted.
func curve(name, kind string) experiment {
	return experiment{name, cPrograms(kind), func(ctx context.Context, h *house) (found values, err error) {
		e, err := h.newEncrypted()
		if err != nil {
			return nil, err
		}
		command, env := append(h.brokerCommand(), "--keys", e.dir), []string(nil)
		if kind == peer {
			command, env = []string{h.program(programProxy)}, e.proxy
		}
		s, err := h.openBroker(ctx, kind, command, env...)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, s.close()) }()
		s.env = e.others
		if err := s.startC(ctx, 1, routedHits); err != nil {
			return nil, err
		}
		if err := s.open(ctx, routedHits); err != nil {
			return nil, err
		}
		return s.run(ctx, fmt.Sprintf("run %d 512 32", routedHits))
	}}
}
