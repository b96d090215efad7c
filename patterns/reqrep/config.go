package reqrep

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/internal/station"
)

// Access says who may come in at endpoints that are bound (Keys, Service, Insecure), and by which key others are entered (Key).
type Access = station.Access

// Handler answers one request. The context ends with the server, and after ServerConfig.Limit. An error, or a panic, is an answer as well: to a Client ErrService with its text,
// to a plain REQ the text after "ERROR: ".
type Handler func(ctx context.Context, r *Request) ([][]byte, error)

// Request is one request. It is the handler's own.
type Request struct {
	Body [][]byte
	// Client and Number tell requests of Clients apart: those that are tried again have the same. Both are 0 from plain sockets.
	Client, Number uint64
}

// ServerConfig says how a server works. Bind and Handler are required; the other zero values are the documented defaults.
type ServerConfig struct {
	// Bind lists the endpoints: tcp, ipc or inproc.
	Bind []string
	// Handler is called from Workers goroutines at the same time.
	Handler Handler
	Access
	// Workers is how many requests are worked on at the same time; default 5.
	Workers int
	// Queue is how many may wait for a worker; what comes beyond is answered by busy. Default 1000.
	Queue int
	// Limit is when a handler's context ends; default: never.
	Limit time.Duration
	// Remember is how many answers to Clients are kept for those that ask again; default 1000, -1: none. Answers over 64 KiB are not kept.
	Remember int
	// MaxBody is the most bytes of one frame; who sends more is disconnected. Default 1 MiB.
	MaxBody int

	Logger  *slog.Logger     // default: slog.Default()
	Context *zmqsock.Context // default: shared by all of the process, which inproc endpoints need
	Poison  bool             // overwrite released bytes; for tests
}

// Validate reports the first field that cannot be used.
func (c *ServerConfig) Validate() error {
	switch {
	case len(c.Bind) == 0 || c.Handler == nil:
		return fmt.Errorf("reqrep: ServerConfig.Bind and Handler are needed: Bind has %d endpoints", len(c.Bind))
	case c.Workers < 0 || c.Queue < 0 || c.Limit < 0 || c.MaxBody < 0 || c.Remember < -1:
		return fmt.Errorf("reqrep: Workers %d, Queue %d, Limit %v, MaxBody %d, Remember %d: none may be negative (Remember -1: none)", c.Workers, c.Queue, c.Limit, c.MaxBody, c.Remember)
	}
	if err := c.Check(c.Bind, nil); err != nil {
		return fmt.Errorf("reqrep: %w", err)
	}
	return nil
}

// ClientConfig says how a client works. Connect is required; the other zero values are the documented defaults.
type ClientConfig struct {
	// Connect lists the servers' endpoints. The first is asked, and the next one after it where it does not answer.
	Connect []string
	Access
	// Timeout is how long one try may take; default 2.5 s. Tries is how often a request is tried; default 3.
	Timeout time.Duration
	Tries   int
	// Window is how many requests may be under way; default 1000.
	Window int
	// MaxBody is the most bytes of one frame of an answer; default 1 MiB. A larger one is ErrTooLarge; one of more than twice as many ends the connection, which counts as no answer.
	MaxBody int

	Logger  *slog.Logger     // default: slog.Default()
	Context *zmqsock.Context // default: shared by all of the process, which inproc endpoints need
	Poison  bool             // overwrite released bytes; for tests
}

// Validate reports the first field that cannot be used.
func (c *ClientConfig) Validate() error {
	switch {
	case len(c.Connect) == 0:
		return fmt.Errorf("reqrep: ClientConfig.Connect is empty: name a server's endpoint, as in tcp://127.0.0.1:5555")
	case c.Timeout < 0 || c.Tries < 0 || c.Window < 0 || c.MaxBody < 0:
		return fmt.Errorf("reqrep: Timeout %v, Tries %d, Window %d, MaxBody %d: none may be negative", c.Timeout, c.Tries, c.Window, c.MaxBody)
	}
	if err := c.Check(nil, c.Connect); err != nil {
		return fmt.Errorf("reqrep: %w", err)
	}
	return nil
}
