package assigner

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ServerConfig says how a broker and a worker live in one process. The zero values are the documented defaults of both.
type ServerConfig struct {
	// Broker is the server's broker. Its Workers may be left out: then only the server's own threads serve, over inproc.
	Broker BrokerConfig
	// Worker is the server's worker. Broker, Brokers and Key are the server's to set; Name is the broker's where it is left out. System, Logger
	// and Context are the broker's where they are left out.
	Worker WorkerConfig
}

// Validate reports the first field that cannot be used, or that clashes with another one.
func (c *ServerConfig) Validate() error {
	if c.Worker.Broker != "" || len(c.Worker.Brokers) > 0 || c.Worker.Key != "" {
		return errors.New("assigner: ServerConfig.Worker has Broker, Brokers or Key set: the worker serves the server's own broker, leave them out")
	}
	broker, worker := c.parts("inproc://troupe-server")
	worker = worker.withDefaults()
	return errors.Join(broker.Validate(), worker.Validate())
}

// parts returns the configurations of broker and worker, joined by this endpoint.
func (c *ServerConfig) parts(inside string) (BrokerConfig, WorkerConfig) {
	b, w := c.Broker, c.Worker
	if len(b.Clients) == 0 {
		b.Clients = []string{DefaultClients}
	}
	b.Workers = append(append([]string{}, b.Workers...), inside)
	w.Broker = inside
	def(&w.Name, b.Name)
	if w.System == nil {
		w.System = b.System
	}
	if w.Logger == nil {
		w.Logger = b.Logger
	}
	if w.Context == nil {
		w.Context = b.Context
	}
	return b, w
}

// Server is a broker with threads of its own: clients need nobody else. One client may use many servers, without a broker in their middle
// (ClientConfig.Brokers). Its methods are safe for concurrent use.
type Server struct {
	broker *Broker
	worker *Worker
	stop   time.Duration
}

// NewServer returns a server that is not started yet.
func NewServer(cfg ServerConfig) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	b, w := cfg.parts("inproc://troupe-server-" + randomName())
	broker, err := NewBroker(b)
	if err != nil {
		return nil, err
	}
	worker, err := NewWorker(w)
	if err != nil {
		return nil, err
	}
	return &Server{broker: broker, worker: worker, stop: 2 * worker.cfg.Stop}, nil
}

// Start binds the endpoints and returns when the server's own threads are registered, so that a client which connects now is served.
func (s *Server) Start(ctx context.Context) error {
	if err := s.broker.Start(ctx); err != nil {
		return err
	}
	if err := s.worker.Start(ctx); err != nil {
		return errors.Join(err, s.Close(ctx))
	}
	select {
	case <-s.worker.Welcomed():
		return nil
	case <-ctx.Done():
		err := fmt.Errorf("assigner: the server's threads were not registered in time: %w", context.Cause(ctx))
		return errors.Join(err, s.Close(context.WithoutCancel(ctx)))
	}
}

// Serve starts the server and runs it until ctx ends or a part of it fails; then it closes the server.
func (s *Server) Serve(ctx context.Context) error {
	if err := s.Start(ctx); err != nil {
		return err
	}
	failed := s.Wait(ctx)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.stop)
	defer cancel()
	return joined([]error{failed, s.Close(stop)})
}

// Wait returns nil when ctx ends or the server is closed, and before that an error when a part of it has failed.
func (s *Server) Wait(ctx context.Context) error {
	both, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 2)
	go func() { ended <- s.broker.Wait(both) }()
	go func() { ended <- s.worker.Wait(both) }()
	first := <-ended
	cancel()
	return errors.Join(first, <-ended)
}

// Drain takes no new hits and waits until the open ones have ended.
func (s *Server) Drain(ctx context.Context) error { return s.worker.Drain(ctx) }

// Close ends all hits, then the broker. What did not stop in time is named in the error.
func (s *Server) Close(ctx context.Context) error {
	return errors.Join(s.worker.Close(ctx), s.broker.Close(ctx))
}

// ClientEndpoints returns where clients can connect, with the ports that were chosen.
func (s *Server) ClientEndpoints() []string { return s.broker.ClientEndpoints() }

// Busy returns how many of the server's slots are in use.
func (s *Server) Busy() int { return s.worker.Busy() }
