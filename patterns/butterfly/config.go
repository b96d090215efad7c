package butterfly

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

// Config says what a front serves. Routes is required; the other zero values are the documented defaults.
type Config struct {
	// Client says how the brokers are reached.
	Client assigner.ClientConfig
	// Routes are tried as http.ServeMux does: the most specific pattern wins.
	Routes []Route
	// Stages say more of stages, by name; a stage that is not here is the service of its name.
	Stages map[string]Stage

	// Timeout is how long a request may take through all its stages, where its route says nothing; default 30 s, -1: for ever.
	Timeout time.Duration
	// MaxBody is the most bytes of a request's body, and of what a stage passes on to one without Stream; default 8 MiB. MaxStream is that of a request's body
	// where the first stage has Stream; default 1 GiB. MaxHeader is that of a request's line and headers; default 64 KiB.
	MaxBody, MaxStream int64
	MaxHeader          int
	// ReadTimeout is how long a client may take to send its headers, and between two pieces of its body; IdleTimeout how long a connection may be idle. Defaults
	// 10 s and 2 min.
	ReadTimeout, IdleTimeout time.Duration
	// MaxHops is how many stages may have a request, on all branches together; default 32. MaxFan is to how many at once one may send it; default 16.
	MaxHops, MaxFan int
	// MaxRequests is how many requests may be under way; default 4096. Beyond, 503 says so.
	MaxRequests int
	// Drain is how long Serve lets requests end when its context does; default 10 s. Beyond, they are cancelled, to the very thread that runs them.
	Drain time.Duration
	// Livez and Readyz are answered without a worker; defaults /livez and /readyz, "-": not at all.
	Livez, Readyz string
	// AccessLog gets a line for each request; nil: nobody does. AccessFormat is combined (Apache's, the default) or json.
	AccessLog    io.Writer
	AccessFormat string
	Logger       *slog.Logger // default: slog.Default()
}

// Route leads requests through stages.
type Route struct {
	Pattern string        // of http.ServeMux, as "GET /is_prime", "/files/{name...}"
	Stages  []string      // in order
	Timeout time.Duration // of a request on this route; 0: Config.Timeout
}

// Stage says how a stage is reached.
type Stage struct {
	Service string          // default: the stage's name
	Target  assigner.Target // which workers
	// Stream sends bodies in parts, of any size, both ways; such a stage costs three messages each way in place of one.
	Stream bool
	// Affinity gives requests with one key to one worker.
	Affinity Affinity
}

// Affinity says what the key of a request is; the first that is set and that the request has counts. A request without a key goes to any worker.
type Affinity struct {
	Header string // the value of this header
	Query  string // of this key of the query
	Cookie string // of this cookie, which a client that has none is given
	// Session makes the key a hit: all requests with it are calls of one session, on one thread, one after another, until it was idle for Idle (default 5 min).
	// At most Most (1024) sessions are open at the same time: the one idle longest makes room. Without Session the worker is the same while it lives.
	Session bool
	Idle    time.Duration
	Most    int
}

func (a *Affinity) is() bool { return a.Header != "" || a.Query != "" || a.Cookie != "" }

// Validate reports the first field that cannot be used.
func (c *Config) Validate() error {
	if len(c.Routes) == 0 {
		return errors.New("butterfly: Config.Routes is empty: name at least one")
	}
	for i, r := range c.Routes {
		if len(r.Stages) == 0 {
			return fmt.Errorf("butterfly: Config.Routes[%d] (%s) has no Stages: name at least one", i, r.Pattern)
		}
		for _, s := range r.Stages {
			if err := wire.CheckService([]byte(s)); err != nil {
				return fmt.Errorf("butterfly: Config.Routes[%d] (%s): stage %q: %w", i, r.Pattern, s, err)
			}
		}
		if r.Timeout < 0 {
			return fmt.Errorf("butterfly: Config.Routes[%d] (%s) has the Timeout %v: it may not be negative", i, r.Pattern, r.Timeout)
		}
		if err := tryPattern(r.Pattern); err != nil {
			return fmt.Errorf("butterfly: Config.Routes[%d]: %w", i, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Stages)) {
		if err := c.checkStage(name); err != nil {
			return err
		}
	}
	return c.checkLimits()
}

func (c *Config) checkStage(name string) error {
	s := c.Stages[name]
	if s.Service != "" {
		if err := wire.CheckService([]byte(s.Service)); err != nil {
			return fmt.Errorf("butterfly: Config.Stages[%q].Service: %w", name, err)
		}
	}
	if s.Target != (assigner.Target{}) {
		if err := s.Target.Validate(); err != nil {
			return fmt.Errorf("butterfly: Config.Stages[%q].Target: %w", name, err)
		}
		if s.Affinity.is() {
			return fmt.Errorf("butterfly: Config.Stages[%q] has a Target and an Affinity: set one of the two", name)
		}
	}
	if a := s.Affinity; a.Idle < 0 || a.Most < 0 {
		return fmt.Errorf("butterfly: Config.Stages[%q].Affinity: Idle %v and Most %d may not be negative", name, a.Idle, a.Most)
	}
	return nil
}

func (c *Config) checkLimits() error {
	switch {
	case c.Timeout < 0 && c.Timeout != -1:
		return fmt.Errorf("butterfly: Config.Timeout is %v: it may not be negative (-1: for ever)", c.Timeout)
	case c.MaxBody < 0 || c.MaxStream < 0 || c.MaxHeader < 0 || c.MaxHops < 0 || c.MaxFan < 0 || c.MaxRequests < 0:
		return errors.New("butterfly: Config.MaxBody, MaxStream, MaxHeader, MaxHops, MaxFan and MaxRequests may not be negative")
	case c.ReadTimeout < 0 || c.IdleTimeout < 0 || c.Drain < 0:
		return errors.New("butterfly: Config.ReadTimeout, IdleTimeout and Drain may not be negative")
	case c.AccessFormat != "" && c.AccessFormat != "combined" && c.AccessFormat != "json":
		return fmt.Errorf("butterfly: Config.AccessFormat is %q: combined and json are possible", c.AccessFormat)
	}
	return nil
}

// tryPattern turns ServeMux's panic about a pattern into an error.
func tryPattern(p string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("pattern %q: %v", p, r)
		}
	}()
	http.NewServeMux().Handle(p, http.NotFoundHandler())
	return nil
}

func (c *Config) withDefaults() {
	def(&c.Timeout, 30*time.Second)
	def(&c.MaxBody, 8<<20)
	def(&c.MaxStream, 1<<30)
	def(&c.MaxHeader, 64<<10)
	def(&c.ReadTimeout, 10*time.Second)
	def(&c.IdleTimeout, 2*time.Minute)
	def(&c.MaxHops, 32)
	def(&c.MaxFan, 16)
	def(&c.MaxRequests, 4096)
	def(&c.Drain, 10*time.Second)
	def(&c.Livez, "/livez")
	def(&c.Readyz, "/readyz")
	def(&c.AccessFormat, "combined")
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
