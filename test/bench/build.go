package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The programs, by the names under which they lie in the house.
const (
	programProxy  = "proxy"
	programLoad   = "hitload"
	programWorker = "hitworker"
	programBulk   = "bulk"
	programEcho   = "echo"
	programDirect = "hitdirect"
	programTroupe = "troupe"
	programTwin   = "twin"
	programNATS   = "nats"
	natsServer    = "nats-server"
)

// cSources names what each C program is made of, in test/bench/c.
var cSources = map[string][]string{
	programProxy:  {"proxy.c"},
	programLoad:   {"hitload.c", "load.c", "link.c", "measure.c", "hit.c"},
	programWorker: {"hitworker.c", "sessions.c", "link.c", "hit.c"},
	programBulk:   {"bulk.c", "link.c", "measure.c", "hit.c"},
	programEcho:   {"echo.c"},
	programCrowd:  {"hitcrowd.c", "link.c", "hit.c"},
	programRaw:    {"rawpat.c", "link.c", "measure.c", "hit.c"},
	programDirect: {"hitdirect.c", "link.c", "measure.c", "hit.c"},
	"vectors":     {"vectors.c", "hit.c"},
}

// house is where everything is built and run: a temporary folder and the programs in it.
type house struct {
	pace
	root, temp string
	broker     string           // command line of Troupe's broker; empty: the one that is built from this tree
	broken     map[string]error // programs that are not there, and why
}

func newHouse(p pace) (*house, error) {
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return nil, fmt.Errorf("where is the module? go env GOMOD: %w", err)
	}
	temp, err := os.MkdirTemp("", "troupe-bench-")
	if err != nil {
		return nil, err
	}
	root := filepath.Dir(strings.TrimSpace(string(mod)))
	return &house{pace: p, root: root, temp: temp, broken: map[string]error{}}, nil
}

func (h *house) close() { _ = os.RemoveAll(h.temp) } // what stays lies in the system's folder for it

// build builds all programs. What cannot be built fails the figures that need it, not the others.
func (h *house) build(ctx context.Context) {
	for _, name := range []string{programProxy, programLoad, programWorker, programBulk, programEcho, programDirect, programCrowd, programRaw} {
		h.broken[name] = h.buildC(ctx, name)
	}
	if h.broker == "" {
		h.broken[programTroupe] = h.buildGo(ctx, programTroupe, h.root, "./cmd/troupe")
	}
	h.broken[programPrimed] = h.buildGo(ctx, programPrimed, h.root, "./cmd/primed")
	if _, err := exec.LookPath(programWrk); err != nil {
		h.broken[programWrk] = errors.New("missing: wrk is not installed; run: sudo apt-get install -y wrk")
	}
	h.needPython()
	h.broken[programTwin] = h.buildGo(ctx, programTwin, h.root, "./test/bench/twin")
	// Its go.mod follows ours by itself when ours moves.
	h.broken[programNATS] = h.buildGo(ctx, programNATS, filepath.Join(h.root, "test/bench/nats"), "-mod=mod", ".")
	if _, err := findNATS(); err != nil {
		h.broken[natsServer] = err
	}
}

func (h *house) buildC(ctx context.Context, name string) error {
	cc := strings.Fields(os.Getenv("CC"))
	if len(cc) == 0 {
		cc = []string{"gcc"}
	}
	args := append(cc[1:], "-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Werror", "-o", filepath.Join(h.temp, name))
	args = append(args, cSources[name]...)
	return build(ctx, name, filepath.Join(h.root, "test/bench/c"), cc[0], append(args, "-lzmq")...)
}

func (h *house) buildGo(ctx context.Context, name, dir string, args ...string) error {
	return build(ctx, name, dir, "go", append([]string{"build", "-o", filepath.Join(h.temp, name)}, args...)...)
}

func build(ctx context.Context, name, dir, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	said, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("missing: %s cannot be built: %w: %s", name, err, firstLines(said))
	}
	return nil
}

// firstLines is what a compiler says first; the rest mostly follows from it.
func firstLines(said []byte) []byte {
	lines := bytes.SplitN(bytes.TrimSpace(said), []byte("\n"), 4)
	return bytes.Join(lines[:min(3, len(lines))], []byte("; "))
}

// need returns the reasons why one of the programs is missing.
func (h *house) need(names ...string) error {
	var missing []error
	for _, name := range names {
		missing = append(missing, h.broken[name])
	}
	return errors.Join(missing...)
}

func (h *house) program(name string) string { return filepath.Join(h.temp, name) }

// findNATS looks where Debian puts the server, which is not on the path of ordinary users.
func findNATS() (string, error) {
	for _, name := range []string{natsServer, "/usr/sbin/" + natsServer} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("missing: nats-server is not installed; run: sudo apt-get install -y nats-server")
}
