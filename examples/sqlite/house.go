package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// house is what the clients find: a broker in this process, and worker processes, which all serve the same database file.
type house struct {
	cfg      Config
	dir      string // of the workers' sources
	database string
	binary   string // the Go worker, built
	broker   *assigner.Broker

	mu      sync.Mutex
	workers []*worker // in order of their starts
}

// openHouse starts a broker on free ports. The Go worker is built into the folder of the database file.
func openHouse(ctx context.Context, cfg Config, database string) (*house, error) {
	h := &house{cfg: cfg, database: database, binary: filepath.Join(filepath.Dir(database), "goworker")}
	var err error
	if h.dir, err = sources(); err != nil {
		return nil, err
	}
	local := []string{"tcp://127.0.0.1:0"}
	if h.broker, err = assigner.NewBroker(assigner.BrokerConfig{Clients: local, Workers: local, Logger: cfg.logger()}); err != nil {
		return nil, err
	}
	return h, h.broker.Start(ctx)
}

// build compiles the Go worker, a module of its own. The Go tool keeps what it has compiled, so that only the first time takes long.
func (h *house) build(ctx context.Context) error {
	build := exec.CommandContext(ctx, "go", "build", "-o", h.binary, ".")
	build.Dir = filepath.Join(h.dir, "goworker")
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("the Go worker cannot be built: %w: run `go mod tidy && go build` in examples/sqlite/goworker and see:\n%s", err, said)
	}
	return nil
}

// start starts a worker process in the language and waits until the broker knows it.
func (h *house) start(ctx context.Context, lang string) (*worker, error) {
	p, err := h.launch(lang)
	if err != nil {
		return nil, err
	}
	return p, h.registered(ctx, p)
}

// launch starts a worker process and does not wait for it.
func (h *house) launch(lang string) (*worker, error) {
	args := []string{h.binary}
	if lang == "python" {
		args = []string{h.cfg.Python, filepath.Join(h.dir, "worker.py")}
	}
	args = append(args, h.database, h.broker.WorkerEndpoints()[0], fmt.Sprint(h.slots()), "tcp://127.0.0.1:0")
	p, err := startWorker(lang, h.cfg.Log, args[0], args[1:]...)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.workers = append(h.workers, p)
	return p, nil
}

// slots is how many hits a worker takes: one worker alone must be able to serve all clients.
func (h *house) slots() int { return h.cfg.Clients }

// dial makes a client with a connection of its own.
func (h *house) dial(ctx context.Context) (*assigner.Client, error) {
	return assigner.Dial(ctx, assigner.ClientConfig{Broker: h.broker.ClientEndpoints()[0], Logger: h.cfg.logger()})
}

// close stops the workers, then the broker, and says which did not go well.
func (h *house) close(ctx context.Context) error {
	var errs []error
	for _, p := range h.all() {
		errs = append(errs, p.stop(ctx))
	}
	return errors.Join(append(errs, h.broker.Close(ctx))...)
}

func (h *house) all() []*worker {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]*worker(nil), h.workers...)
}

func (h *house) lang(pid int) string {
	for _, p := range h.all() {
		if p.PID() == pid {
			return p.lang
		}
	}
	return "unknown"
}

// say writes a line for the reader of the demo.
func say(out io.Writer, format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
