package proxy

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/internal/station"
)

// What callers branch on, with errors.Is.
var (
	ErrClosed   = errors.New("closed")
	ErrInsecure = zmqsock.ErrInsecure // the cause of a *zmqsock.EndpointError, as New returns it
)

// Access says who may come in at endpoints that are bound (Keys, Service, Insecure), and by which key others are entered (Key).
type Access = station.Access

// Kind is what a proxy forwards.
type Kind int

// The kinds of proxies.
const (
	Queue     Kind = iota + 1 // requests: ROUTER for clients in front, DEALER for servers behind
	Forwarder                 // updates: XSUB for publishers in front, XPUB for subscribers behind
	Streamer                  // tasks: PULL for those who push in front, PUSH for those who pull behind
)

// String returns the kind's name.
func (k Kind) String() string {
	switch k {
	case Queue:
		return "queue"
	case Forwarder:
		return "forwarder"
	case Streamer:
		return "streamer"
	}
	return fmt.Sprintf("kind %d", int(k))
}

// Side is the endpoints of one side. Both may be given.
type Side struct{ Bind, Connect []string }

// Config says what a proxy joins. Kind, Front and Back are required; the other zero values are the documented defaults.
type Config struct {
	Kind Kind
	// Front is for those who send first (clients, publishers, those who push), Back for those who get it.
	Front, Back Side
	Access
	// Capture lists endpoints that are bound for SUB sockets: each message comes there with one more frame in front, "front" or "back", where it came from.
	Capture []string
	// Control lists endpoints that are bound for REQ sockets: PAUSE, RESUME, TERMINATE and STATISTICS. Who can reach them can end the proxy.
	Control []string
	// Queue is how many messages may wait here, in each direction, for or from one peer; default 1000.
	Queue int
	// MaxBody is the most bytes of one frame; who sends more is disconnected. Default 64 MiB.
	MaxBody int

	Logger  *slog.Logger     // default: slog.Default()
	Context *zmqsock.Context // default: shared by all of the process, which inproc endpoints need
	Poison  bool             // overwrite released bytes; for tests
}

// Validate reports the first field that cannot be used.
func (c *Config) Validate() error {
	switch {
	case c.Kind < Queue || c.Kind > Streamer:
		return fmt.Errorf("proxy: Config.Kind is %d: use Queue, Forwarder or Streamer", int(c.Kind))
	case len(c.Front.Bind)+len(c.Front.Connect) == 0:
		return errors.New("proxy: Config.Front has no endpoint: name one to bind or to connect to")
	case len(c.Back.Bind)+len(c.Back.Connect) == 0:
		return errors.New("proxy: Config.Back has no endpoint: name one to bind or to connect to")
	case c.Queue < 0 || c.MaxBody < 0:
		return fmt.Errorf("proxy: Queue %d, MaxBody %d: none may be negative", c.Queue, c.MaxBody)
	}
	for _, s := range []Side{c.Front, c.Back, {Bind: c.Capture}, {Bind: c.Control}} {
		if err := c.Check(s.Bind, s.Connect); err != nil {
			return fmt.Errorf("proxy: %w", err)
		}
	}
	return nil
}

// kinds are the sockets of both sides.
func (c *Config) kinds() (front, back zmqsock.Kind) {
	if c.Kind == Queue {
		return zmqsock.Router, zmqsock.Dealer
	}
	if c.Kind == Forwarder {
		return zmqsock.XSub, zmqsock.XPub
	}
	return zmqsock.Pull, zmqsock.Push
}
