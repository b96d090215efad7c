package pair

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/internal/station"
)

// Access says who may come in at an endpoint that is bound (Keys, Service, Insecure), and by which key another is entered (Key).
type Access = station.Access

// Config says how an end works. URL is required; the other zero values are the documented defaults.
type Config struct {
	// URL is the endpoint, the same for both ends: inproc, ipc or tcp. Listen binds it, Dial connects to it.
	URL string
	Access
	// Window is how many messages the other end may have sent that were not received here; default 1000.
	Window int
	// MaxBody is the most bytes of one frame; who sends more is disconnected. Default 1 MiB.
	MaxBody int

	Logger  *slog.Logger     // default: slog.Default()
	Context *zmqsock.Context // default: shared by all of the process, which inproc endpoints need
	Poison  bool             // overwrite released bytes; for tests
}

// maxWindow bounds what another end may promise.
const maxWindow = 1_000_000

// Validate reports the first field that cannot be used.
func (c *Config) Validate() error {
	switch {
	case c.URL == "":
		return errors.New("pair: Config.URL is empty: name an endpoint, as in inproc://pair or tcp://127.0.0.1:5555")
	case c.Window < 0 || c.Window > maxWindow || c.MaxBody < 0:
		return fmt.Errorf("pair: Window %d, MaxBody %d: neither may be negative, Window at most %d", c.Window, c.MaxBody, maxWindow)
	}
	return nil
}

func (c *Config) check(bind, connect []string) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if err := c.Check(bind, connect); err != nil {
		return fmt.Errorf("pair: %w", err)
	}
	station.Default(&c.Window, 1000)
	station.Default(&c.MaxBody, 1<<20)
	c.Logger = station.Logger(c.Logger)
	return nil
}
