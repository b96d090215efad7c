package harness

import (
	"context"
	"os/exec"
	"testing"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// Services are what a worker offers, by name.
type Services = map[string]assigner.Service

// Config says where a system's parts meet.
type Config struct {
	Transport string // tcp, ipc or inproc; default tcp
	PerFrame  bool   // parts in this process use the binding's per-frame calls in place of the batch shim
}

// System is a broker, workers and clients that meet at endpoints which are known before anybody has started; so a part can be started again at the same place. What is started in
// it is closed when the test ends, in reverse order. Its methods fail the test when they fail.
type System struct {
	Clients string // the broker's endpoint for clients
	Workers string // the broker's endpoint for workers
	cfg     Config
	t       testing.TB
	*Timeline
}

// New finds endpoints for a test. Nothing is started yet.
func New(t testing.TB, cfg Config) *System {
	t.Helper()
	return &System{Clients: Endpoint(t, cfg.Transport), Workers: Endpoint(t, cfg.Transport), cfg: cfg, t: t, Timeline: TimelineOf(t)}
}

// Expect waits for a verdict and returns it, see Timeline.Expect.
func (s *System) Expect(w Want) Verdict { s.t.Helper(); return s.Timeline.Expect(s.t, w) }

// ExpectNone fails the test if there was a verdict that nobody has expected, see Timeline.ExpectNone.
func (s *System) ExpectNone(except ...Want) { s.t.Helper(); s.Timeline.ExpectNone(s.t, except...) }

// BrokerConfig returns the configuration of the system's broker: opens wait for workers without limit.
func (s *System) BrokerConfig() assigner.BrokerConfig {
	return assigner.BrokerConfig{
		Clients: []string{s.Clients}, Workers: []string{s.Workers}, Name: "b", PerFrame: s.cfg.PerFrame, Grace: Patience,
	}
}

// Broker starts the broker in the test's process. Each change is applied to the configuration first.
func (s *System) Broker(change ...func(*assigner.BrokerConfig)) *assigner.Broker {
	s.t.Helper()
	cfg := s.BrokerConfig()
	for _, f := range change {
		f(&cfg)
	}
	if cfg.Logger == nil {
		cfg.Logger = Logger(s.t, cfg.Name)
	}
	b, err := assigner.NewBroker(cfg)
	s.must(err)
	s.must(b.Start(Context(s.t)))
	s.Note(Started, cfg.Name, "broker in this process")
	s.closeLater(cfg.Name, b.Close)
	return b
}

// Worker starts a worker in the test's process; it may register later. Each change is applied to the configuration first.
func (s *System) Worker(services Services, change ...func(*assigner.WorkerConfig)) *assigner.Worker {
	s.t.Helper()
	w := s.LooseWorker(services, change...)
	s.closeLater(w.Name(), w.Close)
	return w
}

// LooseWorker is Worker for a test that closes it itself, since the close is meant to fail.
func (s *System) LooseWorker(services Services, change ...func(*assigner.WorkerConfig)) *assigner.Worker {
	s.t.Helper()
	cfg := assigner.WorkerConfig{Broker: s.Workers, Name: "w", Services: services, PerFrame: s.cfg.PerFrame}
	for _, f := range change {
		f(&cfg)
	}
	if cfg.Logger == nil {
		cfg.Logger = Logger(s.t, cfg.Name)
	}
	w, err := assigner.NewWorker(cfg)
	s.must(err)
	s.must(w.Start(Context(s.t)))
	s.Note(Started, cfg.Name, "worker in this process")
	return w
}

// Client starts a client in the test's process; it may register later. Each change is applied to the configuration first.
func (s *System) Client(change ...func(*assigner.ClientConfig)) *assigner.Client {
	s.t.Helper()
	cfg := assigner.ClientConfig{Broker: s.Clients, PerFrame: s.cfg.PerFrame}
	for _, f := range change {
		f(&cfg)
	}
	if cfg.Logger == nil {
		cfg.Logger = Logger(s.t, "client")
	}
	c, err := assigner.Dial(Context(s.t), cfg)
	s.must(err)
	s.closeLater("client", c.Close)
	return c
}

// Process starts a program of yours. It finds the endpoints in its environment, too: TROUPE_BROKER for clients, TROUPE_WORKERS for workers.
func (s *System) Process(name string, cmd *exec.Cmd) *Process {
	s.t.Helper()
	if cmd.Env == nil {
		cmd.Env = cmd.Environ()
	}
	cmd.Env = append(cmd.Env, "TROUPE_BROKER="+s.Clients, "TROUPE_WORKERS="+s.Workers)
	return Start(s.t, name, cmd)
}

func (s *System) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// closeLater closes at the end of the test, which fails if that fails.
func (s *System) closeLater(what string, closer func(context.Context) error) {
	s.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		if err := closer(ctx); err != nil && !s.t.Failed() {
			s.t.Errorf("%s was not closed cleanly: %v", what, err)
		}
	})
}
