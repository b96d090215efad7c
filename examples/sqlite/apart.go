package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/troupe-mq/troupe/examples/internal/netns"
	"github.com/troupe-mq/troupe/supervision/process"
)

// apart is the same over CURVE between two hosts: broker and a Go worker on the one, `troupe call` on the other. Nobody comes in without a key.
type apart struct {
	d         *demo
	hosts     *hosts
	dir       string
	troupe    string // the program
	clients   string // endpoints
	workers   string
	processes []*process.Process // the last is stopped first
}

// letIn is what must not be said of a stranger.
const letIn = "it is let in"

// network is how such a blob travels.
const network = "two hosts, CURVE"

// blobsApart moves the blob between two hosts, or says why not.
func (d *demo) blobsApart(ctx context.Context) (err error) {
	h, err := openHosts()
	if err != nil {
		d.report.NotApart = err.Error()
		d.say("  Not shown: the same between two hosts, encrypted, with broker and client in network namespaces of their own: %v", err)
		return nil
	}
	a := &apart{d: d, hosts: h, dir: filepath.Dir(d.house.database)}
	defer func() { err = errors.Join(err, a.close()) }()
	if err := a.open(ctx); err != nil {
		return err
	}
	for _, way := range []string{"routed", "direct"} {
		row, err := a.move(ctx, way)
		if err != nil {
			return fmt.Errorf("a blob between two hosts, %s: %w", way, err)
		}
		d.report.Blobs = append(d.report.Blobs, *row)
		d.tellBlob(row)
	}
	refused, err := a.stranger(ctx)
	d.report.Stranger = refused
	d.say("  without a key: %s", refused)
	return err
}

// open makes the keys and starts broker and worker.
func (a *apart) open(ctx context.Context) error {
	a.troupe = filepath.Join(a.dir, "troupe")
	build := exec.CommandContext(ctx, "go", "build", "-o", a.troupe, "./cmd/troupe")
	build.Dir = filepath.Join(a.d.house.dir, "..", "..")
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("troupe cannot be built: %w: %s", err, said)
	}
	if err := a.keys(ctx); err != nil {
		return err
	}
	at := "tcp://" + hereAddress + ":0"
	broker, err := a.start("the broker", nil, netns.In(a.hosts.here, a.troupe, "broker", "--client", at, "--worker", at, "--keys", a.path("keys"))...)
	if err != nil {
		return err
	}
	for a.clients == "" || a.workers == "" {
		line, err := broker.Line(ctx)
		if err != nil {
			return err
		}
		for _, word := range strings.Fields(line) {
			switch {
			case !strings.HasPrefix(word, "tcp://"):
			case strings.Contains(line, "client"):
				a.clients = word
			default:
				a.workers = word
			}
		}
	}
	key, err := os.ReadFile(a.path("worker.key"))
	if err != nil {
		return err
	}
	_, err = a.start("the worker", []string{"TROUPE_KEY=" + string(key)}, netns.In(a.hosts.here, a.d.house.binary, a.path("apart.db"), a.workers, "4", at)...)
	return err
}

func (a *apart) path(name string) string { return filepath.Join(a.dir, name) }

// keys makes the broker's folder of keys, and a key each for client and worker.
func (a *apart) keys(ctx context.Context) error {
	for _, step := range []struct {
		to   string
		args []string
	}{
		{"", []string{"init"}},
		{"client.key", []string{"add", "client", "--client", "sqlite"}},
		{"worker.key", []string{"add", "worker", "--worker", "sqlite"}},
	} {
		out, err := a.run(ctx, append(append([]string{a.troupe, "keys"}, step.args...), "--keys", a.path("keys"))...)
		if err != nil {
			return err
		}
		if step.to == "" {
			continue
		}
		if err := os.WriteFile(a.path(step.to), out, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// start starts a process that stays.
func (a *apart) start(name string, env []string, args ...string) (*process.Process, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env, cmd.Stderr = append(os.Environ(), env...), a.d.cfg.Log
	p, err := process.Start(cmd, process.Config{Name: name, Lines: true, Group: true})
	if err == nil {
		a.processes = append(a.processes, p)
	}
	return p, err
}

// run runs a program to its end and returns what it has printed.
func (a *apart) run(ctx context.Context, args ...string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).Output()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		err = fmt.Errorf("%s: %w: %s", filepath.Base(args[0]), err, strings.TrimSpace(string(ended.Stderr)))
	}
	return out, err
}

// call makes a call from the other host, by the command line.
func (a *apart) call(ctx context.Context, request map[string]any, flags ...string) ([]byte, error) {
	head, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	args := netns.In(a.hosts.there, a.troupe, "call", "sqlite", string(head), "--broker", a.clients, "--key", a.path("client.key"), "--log-level", "error")
	return a.run(ctx, append(args, flags...)...)
}

// move stores the blob from a file and reads it into another.
func (a *apart) move(ctx context.Context, way string) (*BlobRow, error) {
	var flags []string
	if way == "direct" {
		flags = []string{"--direct"}
	}
	row := &BlobRow{Lang: "go", PID: a.processes[1].PID(), Route: way, Network: network}
	sum, err := a.write("blob")
	if err != nil {
		return nil, err
	}
	if _, err := a.call(ctx, map[string]any{"sql": makePieces}); err != nil {
		return nil, err
	}
	before, err := peak(row.PID)
	if err != nil {
		return nil, err
	}
	begun, stored := time.Now(), answer{}
	out, err := a.call(ctx, map[string]any{"sql": putPiece, "args": []int{1}, "input": pieceSize}, append(flags, "--body", a.path("blob"))...)
	if err == nil {
		err = json.Unmarshal(out, &stored)
	}
	if err != nil {
		return nil, err
	}
	row.In, row.SHA256, row.Worker = speed(begun), sum, stored.SHA256
	begun = time.Now()
	if _, err := a.call(ctx, map[string]any{"sql": getPieces, "args": []int{1}, "output": true}, append(flags, "--output", a.path("back"))...); err != nil {
		return nil, err
	}
	row.Out = speed(begun)
	after, err := peak(row.PID)
	row.Grown = after - before
	came, read := checksum(a.path("back"))
	row.Came = came
	_, dropped := a.call(ctx, map[string]any{"sql": dropPieces})
	return row, errors.Join(err, read, dropped)
}

// write puts the blob into a file.
func (a *apart) write(name string) (sum string, err error) {
	f, err := os.Create(a.path(name))
	if err != nil {
		return "", err
	}
	digest := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, digest), blob(a.d.cfg.Seed))
	return hex.EncodeToString(digest.Sum(nil)), errors.Join(err, f.Close())
}

func checksum(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	digest := sha256.New()
	_, err = io.Copy(digest, f)
	return hex.EncodeToString(digest.Sum(nil)), err
}

// stranger calls without a key, and returns what it is told. That it is let in is an error.
func (a *apart) stranger(ctx context.Context) (string, error) {
	_, err := a.run(ctx, netns.In(a.hosts.there, a.troupe, "call", "sqlite", `{"sql":"SELECT 1"}`, "--broker", a.clients, "--connect", "1s", "--log-level", "error")...)
	if err == nil {
		return letIn, nil
	}
	_, told, _ := strings.Cut(err.Error(), "troupe: ")
	told, _, _ = strings.Cut(told, "\n")
	return told, ctx.Err()
}

// close stops the processes and takes the hosts down.
func (a *apart) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var errs []error
	for i := len(a.processes) - 1; i >= 0; i-- {
		errs = append(errs, a.processes[i].Stop(ctx))
	}
	return errors.Join(append(errs, a.hosts.close())...)
}
