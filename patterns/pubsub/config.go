package pubsub

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/internal/station"
)

// Access says who may come in at endpoints that are bound (Keys, Service, Insecure), and by which key others are entered (Key).
type Access = station.Access

// PublisherConfig says how a publisher works. Bind is required; the other zero values are the documented defaults.
type PublisherConfig struct {
	// Bind lists the endpoints: tcp, ipc or inproc.
	Bind []string
	Access
	// LastValue keeps the last update of each topic for new subscribers.
	LastValue bool
	// History is how many updates of each topic are kept for subscribers that have missed some; default 0.
	History int
	// MaxTopics bounds the topics; default 1,000,000. Without LastValue and History a topic takes some 200 bytes.
	MaxTopics int
	// MaxBody is the most bytes of an update's frames together; default 1 MiB.
	MaxBody int
	// Queue is how many updates may wait for one subscriber here, and as many again at its end; what is more is lost to that one. Default 1000.
	Queue int
	// Slow is how long a subscriber may take nothing that waits for it until it is called slow; default 2 s.
	Slow time.Duration
	// Disconnect ends the connections of subscribers that are slow in that sense. They connect again by themselves, with empty queues.
	Disconnect bool
	// Beat is the interval of the heartbeats by which subscribers know that the publisher lives; default 1 s.
	Beat time.Duration

	Logger  *slog.Logger     // default: slog.Default()
	Context *zmqsock.Context // default: shared by all of the process, which inproc endpoints need
	Poison  bool             // overwrite released bytes; for tests
}

// Validate reports the first field that cannot be used.
func (c *PublisherConfig) Validate() error {
	switch {
	case len(c.Bind) == 0:
		return fmt.Errorf("pubsub: PublisherConfig.Bind is empty: name an endpoint, as in tcp://127.0.0.1:5556")
	case c.History < 0 || c.MaxTopics < 0 || c.MaxBody < 0 || c.Queue < 0:
		return fmt.Errorf("pubsub: History %d, MaxTopics %d, MaxBody %d, Queue %d: none may be negative", c.History, c.MaxTopics, c.MaxBody, c.Queue)
	case c.Slow < 0 || c.Beat < 0:
		return fmt.Errorf("pubsub: Slow %v, Beat %v: none may be negative", c.Slow, c.Beat)
	}
	if err := c.Check(c.Bind, nil); err != nil {
		return fmt.Errorf("pubsub: %w", err)
	}
	return nil
}

func (c PublisherConfig) withDefaults() PublisherConfig {
	station.Default(&c.MaxTopics, 1_000_000)
	station.Default(&c.MaxBody, 1<<20)
	station.Default(&c.Queue, 1000)
	station.Default(&c.Slow, 2*time.Second)
	station.Default(&c.Beat, time.Second)
	c.Logger = station.Logger(c.Logger)
	return c
}

// GapPolicy says what a subscriber does about missing updates.
type GapPolicy int

// The policies.
const (
	// Skip delivers the next update at once, and says in Missed how many are missing.
	Skip GapPolicy = iota
	// Fail makes Receive return ErrGap first, and the next update afterwards.
	Fail
	// CatchUp asks the publisher's history, and delivers all in order. What the history has not is told as by Skip.
	CatchUp
)

// SubscriberConfig says how a subscriber works. Connect is required; the other zero values are the documented defaults.
type SubscriberConfig struct {
	// Connect lists the publishers' endpoints. They need not be there yet.
	Connect []string
	Access
	// Name is how publishers and their logs call this subscriber: printable ASCII without blanks, at most 64 bytes. Default: host name and process id.
	Name string
	// Plain is for publishers that are plain PUB sockets: nobody answers, numbers, or keeps anything there.
	Plain bool
	// Gap says what is done about missing updates.
	Gap GapPolicy
	// Patience bounds how long a publisher's history is waited for; default 2 s.
	Patience time.Duration
	// Queue is how many updates may wait here until they are received; default 1000. What is more counts as missed.
	Queue int
	// MaxBody is the most bytes of one frame; a publisher that sends more is disconnected. Default 1 MiB.
	MaxBody int

	Logger  *slog.Logger     // default: slog.Default()
	Context *zmqsock.Context // default: shared by all of the process, which inproc endpoints need
	Poison  bool             // overwrite released bytes; for tests
}

// Validate reports the first field that cannot be used.
func (c *SubscriberConfig) Validate() error {
	switch {
	case len(c.Connect) == 0:
		return fmt.Errorf("pubsub: SubscriberConfig.Connect is empty: name a publisher's endpoint, as in tcp://127.0.0.1:5556")
	case c.Gap < Skip || c.Gap > CatchUp:
		return fmt.Errorf("pubsub: Gap is %d: use Skip, Fail or CatchUp", c.Gap)
	case c.Plain && c.Gap != Skip:
		return fmt.Errorf("pubsub: Gap is set, and Plain: plain publishers do not number what they send, so that gaps cannot be seen")
	case c.Patience < 0 || c.Queue < 0 || c.MaxBody < 0:
		return fmt.Errorf("pubsub: Patience %v, Queue %d, MaxBody %d: none may be negative", c.Patience, c.Queue, c.MaxBody)
	case len(c.Name) > maxName || strings.ContainsFunc(c.Name, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fmt.Errorf("pubsub: Name %q: printable ASCII without blanks is possible, at most %d bytes", c.Name, maxName)
	}
	if err := c.Check(nil, c.Connect); err != nil {
		return fmt.Errorf("pubsub: %w", err)
	}
	return nil
}

func (c SubscriberConfig) withDefaults() SubscriberConfig {
	if c.Name == "" {
		c.Name = station.ProcessName()
	}
	station.Default(&c.Patience, 2*time.Second)
	station.Default(&c.Queue, 1000)
	station.Default(&c.MaxBody, 1<<20)
	c.Logger = station.Logger(c.Logger)
	return c
}

// newNonce is what makes a request unlike all others.
func newNonce() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
