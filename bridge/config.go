package bridge

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// Config says how a loop works. System is required; the other zero values are the documented defaults.
type Config struct {
	System *actor.ActorSystem // where PIDs live
	Logger *slog.Logger       // default: slog.Default()
	// Context is the ZeroMQ context; default: one shared by all loops of the process, which inproc endpoints need.
	Context *zmqsock.Context
	// Throughput is how many messages an actor on the loop handles per turn before the next one has its turn; default 64.
	Throughput int
	// Batch is how many messages are received from one socket before actors run; default 256.
	Batch int
	// Spin is how often the loop yields to other goroutines before it blocks, while Busy reports work under way. Default 0: a broker's loop
	// has nobody to yield to; clients and workers gain (docs/performance.md).
	Spin int
	// Busy reports that answers are expected soon; nil: never. It is called on the loop.
	Busy func() bool
	// MaxBody is the most bytes of all frames after the header together; default 32 MiB. What is larger is refused; whoever sends a single
	// frame of more than twice as much is disconnected.
	MaxBody int
	// Window is the most bytes sent to a peer beyond what it has acknowledged; default 4 MiB. A peer may ask for less.
	Window int64
	// Probe is the interval at which connections that no monitor can report on (inproc) are probed; default 1 s.
	Probe time.Duration
	// Heartbeat is the interval of ZMTP heartbeats, and Silence how long a silent connection lives; defaults 1 s and 3 s. DEALERs send them, and
	// ROUTERs with EndpointConfig.Heartbeats.
	Heartbeat, Silence time.Duration
	// PerFrame uses the binding's per-frame calls instead of the batch shim.
	PerFrame bool
	// Poison overwrites released bytes, so that a use after release shows; for tests.
	Poison bool
	// FirstGeneration is where handles start, below 2^39; default: random per loop, so that a restarted broker never issues a handle again.
	FirstGeneration uint64
}

// Validate reports the first field that cannot be used.
func (c *Config) Validate() error {
	switch {
	case c.System == nil:
		return errors.New("bridge: Config.System is nil: give the actor system whose PIDs the loop delivers to")
	case c.Throughput < 0 || c.Batch < 0 || c.Batch > 4096 || c.Spin < 0:
		return fmt.Errorf("bridge: Config.Throughput %d, Batch %d, Spin %d: none may be negative, Batch at most 4096", c.Throughput, c.Batch, c.Spin)
	case c.MaxBody < 0 || c.MaxBody > 1<<30:
		return fmt.Errorf("bridge: Config.MaxBody is %d bytes: from 1 to %d are possible", c.MaxBody, 1<<30)
	case c.Window < 0 || (c.Window > 0 && c.Window < minWindow):
		return fmt.Errorf("bridge: Config.Window is %d bytes: at least %d are needed", c.Window, minWindow)
	case c.Probe < 0 || c.Heartbeat < 0 || c.Silence < 0:
		return fmt.Errorf("bridge: Config.Probe %v, Heartbeat %v, Silence %v: none may be negative", c.Probe, c.Heartbeat, c.Silence)
	case c.FirstGeneration >= maxGeneration:
		return fmt.Errorf("bridge: Config.FirstGeneration is %d: below %d are possible, so that none comes round again", c.FirstGeneration, uint64(maxGeneration))
	case c.Heartbeat > 0 && c.Silence > 0 && c.Silence < c.Heartbeat:
		return fmt.Errorf("bridge: Config.Silence %v is below Heartbeat %v: every connection would be given up", c.Silence, c.Heartbeat)
	}
	return nil
}

const minWindow = 16 << 10

func (c Config) withDefaults() Config {
	def(&c.Throughput, 64)
	def(&c.Batch, 256)
	def(&c.MaxBody, 32<<20)
	def(&c.Window, 4<<20)
	def(&c.Probe, time.Second)
	def(&c.Heartbeat, time.Second)
	def(&c.Silence, 3*time.Second)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
