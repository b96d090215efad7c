package assigner

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/supervision"
)

// Default endpoints of a broker.
const (
	DefaultClients = "tcp://127.0.0.1:5700"
	DefaultWorkers = "tcp://127.0.0.1:5701"
)

// BrokerConfig says how a broker works. Every zero value is the documented default.
type BrokerConfig struct {
	// Clients and Workers are the endpoints to bind: tcp, ipc or inproc, any number each. Defaults: DefaultClients, DefaultWorkers.
	Clients, Workers []string
	// Name is what the broker calls itself towards peers; default: host name and process id.
	Name string
	// Keys is a folder that `troupe keys` keeps (package keys): with it all tcp endpoints, and ipc ones without a path, are encrypted, and only listed keys come in,
	// for what they are listed for. Other ipc endpoints and inproc stay as they are: whoever can reach them may everything. Empty: no keys.
	Keys string
	// Insecure allows endpoints that other machines can reach without Keys: nothing is encrypted then.
	Insecure bool
	// Admin allows ADMIN (listings, hit kill) to every client, with Keys to those whose key has the right; AdminOff forbids it; the default allows it unless Insecure
	// is set without Keys.
	Admin AdminRight
	// MaxQueue is how many opens may wait per service while all slots are busy; default 1000, -1: none.
	MaxQueue int
	// MaxWait is how long an open may wait at most; default 30 s.
	MaxWait time.Duration
	// MaxCalls is how many calls of one hit may be under way; default 256.
	MaxCalls int
	// MaxResume is how long a hit may be kept at most without its client, where its open asks for that; default 60 s, -1: not at all.
	MaxResume time.Duration
	// MaxKept is the most bytes of answers kept per such hit until its client has acknowledged them; default 1 MiB. One that does not fit is lost when
	// the client loses its connection: the call's error then says so.
	MaxKept int
	// MaxBody is the most bytes of a call's or a reply's frames together; default 32 MiB.
	MaxBody int
	// Window is the most bytes sent to a peer beyond what it has acknowledged, and as much may wait for it; default 4 MiB.
	Window int64
	// Heartbeat and Silence: a worker whose process or host says nothing for Silence is given up, and so is a client whose host has gone; defaults 1 s
	// and 3 s. The heartbeats are ZeroMQ's own and need none of the worker's code.
	Heartbeat, Silence time.Duration
	// Stuck is how long a call may run without a sign of its thread (an answer, a part, Call.Progress), where neither its service (Service.Lease) nor the call
	// (Call.Hold) has asked for more: then it is STUCK. What is done about it is the service's Repair. Default 10 s, -1: for ever.
	Stuck time.Duration
	// Ask is how long a worker may take to answer when another one claims its name; default 1 s.
	Ask time.Duration
	// Grace is how long after the start opens of services wait that nobody has offered yet; default 10 s, -1: not at all.
	Grace time.Duration
	// Policies says by service which worker gets the next hit; AnyService stands for all services that are not named. Default: LeastBusy.
	Policies map[string]Policy
	// MinWorkers says by service how many workers there are to be before anything of it is given out; AnyService stands for all that are not named. Default: one.
	MinWorkers map[string]int
	// Tasks bounds what is kept of tasks with ids.
	Tasks TaskConfig
	// Repair is what is done about calls whose workers fail them.
	Repair RepairConfig
	// Stop is how long the parts of the broker may take to stop, each; default 2 s.
	Stop time.Duration

	// Children are actors and services (supervision.Service) of your own, started after all that is the broker's and stopped before it, under a supervisor
	// with the default intensity: when that is exceeded, the broker ends.
	Children []supervision.ChildSpec
	// Watch is what is watched within the process.
	Watch WatchConfig

	System  *actor.ActorSystem // default: one of the broker's own
	Logger  *slog.Logger       // default: slog.Default()
	Context *zmqsock.Context   // default: shared by all of the process, which inproc endpoints need
	// PerFrame uses the ZeroMQ binding's per-frame calls in place of the batch shim: the fallback, for comparison.
	PerFrame bool
	// Poison overwrites released message memory, so that a use after release shows; for tests.
	Poison bool
}

// AdminRight says who may use ADMIN.
type AdminRight int

// The rights to ADMIN.
const (
	AdminDefault AdminRight = iota
	AdminOn
	AdminOff
)

// Validate reports the first field that cannot be used, or that clashes with another one.
func (c *BrokerConfig) Validate() error {
	if err := c.checkEndpoints(); err != nil {
		return err
	}
	switch {
	case c.MaxQueue < -1 || c.MaxCalls < 0 || c.MaxBody < 0 || c.Window < 0 || c.MaxKept < 0:
		return fmt.Errorf("assigner: MaxQueue %d, MaxCalls %d, MaxBody %d, Window %d, MaxKept %d: none may be negative (MaxQueue -1: nothing waits)",
			c.MaxQueue, c.MaxCalls, c.MaxBody, c.Window, c.MaxKept)
	case c.MaxResume < 0 && c.MaxResume != -1:
		return fmt.Errorf("assigner: MaxResume is %v: it may not be negative (-1: no hit is kept without its client)", c.MaxResume)
	case c.MaxWait < 0 || c.Heartbeat < 0 || c.Silence < 0 || c.Ask < 0 || c.Stop < 0:
		return fmt.Errorf("assigner: MaxWait %v, Heartbeat %v, Silence %v, Ask %v, Stop %v: none may be negative", c.MaxWait, c.Heartbeat, c.Silence, c.Ask, c.Stop)
	case c.Stuck < 0 && c.Stuck != -1 || c.Stuck > 0 && c.Stuck < time.Millisecond:
		return fmt.Errorf("assigner: Stuck is %v: from 1ms on is possible (-1: calls may give no sign for ever)", c.Stuck)
	case c.Admin < AdminDefault || c.Admin > AdminOff:
		return errors.New("assigner: Admin: use AdminDefault, AdminOn or AdminOff")
	}
	if err := checkPolicies(c.Policies); err != nil {
		return err
	}
	for service, n := range c.MinWorkers {
		if n < 0 {
			return fmt.Errorf("assigner: MinWorkers of service %q is %d: it may not be negative", service, n)
		}
	}
	if err := c.Tasks.validate(); err != nil {
		return err
	}
	if err := c.Repair.validate(); err != nil {
		return err
	}
	if err := c.Watch.validate("BrokerConfig"); err != nil {
		return err
	}
	if err := checkChildren("BrokerConfig", c.Children); err != nil {
		return err
	}
	d := c.withDefaults()
	return checkLoop(bridge.Config{MaxBody: d.MaxBody, Window: d.Window, Heartbeat: d.Heartbeat, Silence: d.Silence})
}

// checkEndpoints judges where the broker is to be reached.
func (c *BrokerConfig) checkEndpoints() error {
	for _, ep := range append(append([]string{}, c.Clients...), c.Workers...) {
		if err := zmqsock.CheckEndpoint("bind", ep); err != nil {
			return err
		}
		if !c.Insecure && c.Keys == "" && !zmqsock.Local(ep) {
			return &zmqsock.EndpointError{
				Op: "bind", Endpoint: ep, Err: ErrInsecure,
				Remedy: "encrypt it with --keys (BrokerConfig.Keys, `troupe keys init`), bind to 127.0.0.1, ipc or inproc, or insist with --insecure (BrokerConfig.Insecure) on a network you trust",
			}
		}
	}
	return nil
}

// checkLoop reports what a loop would not take of the fields that are passed on to it.
func checkLoop(c bridge.Config) error {
	c.System = &actor.ActorSystem{} // there will be one
	return c.Validate()
}

// ErrInsecure is the cause of the error for an endpoint that other machines can reach.
var ErrInsecure = zmqsock.ErrInsecure

// DefaultBrokerConfig returns the configuration that the zero BrokerConfig stands for, for commands that show defaults. Its name and
// logger are left empty.
func DefaultBrokerConfig() BrokerConfig {
	c := BrokerConfig{Name: "-"}.withDefaults()
	c.Name, c.Logger = "", nil
	return c
}

func (c BrokerConfig) withDefaults() BrokerConfig {
	if len(c.Clients) == 0 {
		c.Clients = []string{DefaultClients}
	}
	if len(c.Workers) == 0 {
		c.Workers = []string{DefaultWorkers}
	}
	if c.Name == "" {
		host, _ := os.Hostname()
		c.Name = fmt.Sprintf("%s-%d", host, os.Getpid())
	}
	def(&c.MaxQueue, 1000)
	c.MaxQueue = max(c.MaxQueue, 0)
	def(&c.MaxWait, 30*time.Second)
	def(&c.MaxCalls, 256)
	def(&c.MaxResume, time.Minute)
	c.MaxResume = max(c.MaxResume, 0)
	def(&c.MaxKept, 1<<20)
	def(&c.MaxBody, 32<<20)
	def(&c.Window, 4<<20)
	def(&c.Heartbeat, time.Second)
	def(&c.Silence, 3*time.Second)
	def(&c.Stuck, 10*time.Second)
	def(&c.Ask, time.Second)
	def(&c.Grace, 10*time.Second)
	def(&c.Stop, 2*time.Second)
	c.Grace = max(c.Grace, 0)
	c.Repair.withDefaults()
	c.Tasks.withDefaults()
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func (c *BrokerConfig) adminAllowed() bool {
	return c.Admin == AdminOn || (c.Admin == AdminDefault && (!c.Insecure || c.Keys != ""))
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
