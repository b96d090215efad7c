package pool

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// Handler answers a question. It runs on a goroutine of its own, as many at a time as there are questions. The context ends when nobody wants the answer any more, or the member leaves. What it
// returns is the last part of its answer; earlier ones are sent by Query.Send. An error, and a panic, is told to the asker as text.
type Handler func(ctx context.Context, q *Query) ([]byte, error)

// Config says who joins which pool. Pool is required; every other zero value is the documented default.
type Config struct {
	// Pool is the pool's name: letters, digits and `-_.`, 32 at most.
	Pool string
	// Name is what the member is called; default: its process id. Names need not be unique.
	Name string
	// RunDir is where the pools of this host meet; default: DefaultRunDir(). Members of one host have the same one, of the same user, with mode 0700.
	RunDir string
	// HostName is what this host is called; default: that of the system.
	HostName string
	// Labels are for questions to some of the members only.
	Labels map[string]string
	// Handler answers questions; nil: the member answers each with an error.
	Handler Handler `json:"-"`

	// Listen is where the host's master listens for those of other hosts, as HOST:PORT. All members of a host have the same. Empty: it does not.
	Listen string
	// Peers are the masters of other hosts, as HOST:PORT. Of two hosts one has to name the other.
	Peers []string
	// Keys is a folder of `troupe keys init`, the same on all hosts: what goes between them is encrypted, and who has not got it is not heard. Empty: no keys.
	Keys string
	// Insecure allows Listen and Peers beyond this machine without Keys.
	Insecure bool

	// NoKill: the member never kills a master, does not vote, and must not be killed as one.
	NoKill bool
	// Silence is how long a member or a master may say nothing before it is FROZEN; default 3 s. The same for all members of a host.
	Silence time.Duration
	// MaxKept is the most bytes of answers kept until their askers have them all; default 64 MiB.
	MaxKept int
	Logger  *slog.Logger `json:"-"` // default: slog.Default()
}

var poolName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,32}$`)

// DefaultRunDir returns $XDG_RUNTIME_DIR/troupe-pool, or a folder of the user's own below the system's temporary one.
func DefaultRunDir() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "troupe-pool")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("troupe-pool-%d", os.Getuid()))
}

// Validate reports the first field that cannot be used.
func (c *Config) Validate() error {
	if !poolName.MatchString(c.Pool) || strings.Trim(c.Pool, ".") == "" {
		return fmt.Errorf("pool: Pool is %.40q: use 1 to 32 letters, digits and -_.", c.Pool)
	}
	if c.Silence < 0 || c.Silence > 0 && c.Silence < 100*time.Millisecond || c.MaxKept < 0 {
		return fmt.Errorf("pool: Silence %v, MaxKept %d: Silence is 100ms at least, and neither may be negative", c.Silence, c.MaxKept)
	}
	for i, ep := range append([]string{c.Listen}, c.Peers...) {
		op := "connect"
		if i == 0 {
			op = "bind"
		}
		if ep == "" && i == 0 {
			continue
		}
		if err := zmqsock.CheckEndpoint(op, endpoint(ep)); err != nil {
			return err
		}
		if c.Keys == "" && !c.Insecure && !zmqsock.Local(endpoint(ep)) {
			return &zmqsock.EndpointError{
				Op: op, Endpoint: endpoint(ep), Err: ErrInsecure,
				Remedy: "encrypt it with --keys (Config.Keys, `troupe keys init`, the same folder on all hosts), or insist with --insecure (Config.Insecure) on a network you trust",
			}
		}
	}
	return nil
}

func endpoint(hostPort string) string { return "tcp://" + strings.TrimPrefix(hostPort, "tcp://") }

func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = fmt.Sprint(os.Getpid())
	}
	if c.RunDir == "" {
		c.RunDir = DefaultRunDir()
	}
	if c.HostName == "" {
		c.HostName, _ = os.Hostname()
	}
	if c.Silence == 0 {
		c.Silence = 3 * time.Second
	}
	if c.MaxKept == 0 {
		c.MaxKept = 64 << 20
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}
