package assigner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/supervision"
)

// ClientConfig says how a client reaches its broker. Every zero value is the documented default.
type ClientConfig struct {
	Broker string // the broker's endpoint for clients; default DefaultClients
	// Brokers are several brokers in place of Broker. A hit is opened where there is room at once; a broker that is full, dead or silent, or not there
	// yet, is passed over. Weights say how the others share the hits.
	Brokers []BrokerRef
	// Patience is how long one of several brokers may say nothing to an open before it is passed over; default 250 ms.
	Patience time.Duration
	Name     string // shown in listings; default: host name and process id
	// Key is the one string that `troupe keys add` has printed, for a broker with keys; empty: none. It is used where connections are encrypted, see
	// zmqsock.Ciphered.
	Key string

	// Children are actors and services (supervision.Service) of your own, started after all that is the client's and stopped before it, under a supervisor
	// with the default intensity: when that is exceeded, the client ends.
	Children []supervision.ChildSpec
	// Watch is what is watched within the process.
	Watch WatchConfig

	System  *actor.ActorSystem // default: one of the client's own
	Logger  *slog.Logger       // default: slog.Default()
	Context *zmqsock.Context   // default: shared by all of the process, which inproc endpoints need
	// MaxBody is the largest reply taken from the broker, bytes. A broker that passes larger ones is refused; default: none is.
	MaxBody int
	// Heartbeat is how often the client's ZeroMQ thread shows the broker that its process runs, and Silence after how long without that either end gives
	// the connection up; defaults 1 s and 3 s.
	Heartbeat, Silence time.Duration
	// Spin is how often the client's loop yields, while calls are under way, before it sleeps; default 20. More lowers the latency of
	// single calls at the price of processor time (docs/performance.md).
	Spin int
	// DirectPatience is how long a worker may take to let a direct hit in, once the broker has given it; default 5 s.
	DirectPatience time.Duration
	// Codec makes bodies of values, and values of replies, for CallAs and DoAs; default JSON.
	Codec Codec
	// PerFrame uses the ZeroMQ binding's per-frame calls in place of the batch shim.
	PerFrame bool
}

// Validate reports the first field that cannot be used.
func (c *ClientConfig) Validate() error {
	if err := c.checkBrokers(); err != nil {
		return err
	}
	if c.Patience < 0 {
		return fmt.Errorf("assigner: ClientConfig.Patience is %v: it cannot be negative", c.Patience)
	}
	if len(c.Name) > wire.MaxName || c.Spin < 0 || c.MaxBody < 0 || c.DirectPatience < 0 {
		return fmt.Errorf("assigner: ClientConfig.Name has %d bytes (at most %d), Spin is %d, MaxBody %d and DirectPatience %v (not negative)", len(c.Name), wire.MaxName, c.Spin, c.MaxBody, c.DirectPatience)
	}
	if err := c.Watch.validate("ClientConfig"); err != nil {
		return err
	}
	if err := checkChildren("ClientConfig", c.Children); err != nil {
		return err
	}
	if err := checkLoop(bridge.Config{MaxBody: c.MaxBody, Spin: c.Spin, Heartbeat: c.Heartbeat, Silence: c.Silence}); err != nil {
		return err
	}
	return checkKey("ClientConfig.Key", c.Key)
}

// Client opens hits at one broker or several. It is safe for use by many goroutines.
type Client struct {
	hub     *hub
	up      *uplink   // the first one
	ups     []*uplink // all
	fleet   *fleet    // nil for a single broker
	directs *directs
	watched chan struct{} // closed when watch has ended
	heirs   heirs         // after its broker has sent it elsewhere
	ending  ending
}

// Dial starts a client. It does not wait for the broker, which may be started later: opens wait for it as long as their contexts allow.
func Dial(ctx context.Context, cfg ClientConfig) (*Client, error) {
	if len(cfg.Brokers) == 0 {
		def(&cfg.Broker, DefaultClients)
	}
	def(&cfg.Patience, defaultPatience)
	def(&cfg.Spin, 20)
	def(&cfg.DirectPatience, directPatience)
	if cfg.Name == "" {
		h, _ := os.Hostname()
		cfg.Name = fmt.Sprintf("%s-%d", h, os.Getpid())
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Client{ending: newEnding(), watched: make(chan struct{}), directs: &directs{ways: make(map[wire.Peer]*directWay)}}
	c.heirs.cfg = cfg
	c.populate(cfg)
	if err := c.start(ctx, &cfg); err != nil {
		return nil, err
	}
	go c.watch()
	return c, nil
}

// populate makes an uplink for each broker.
func (c *Client) populate(cfg ClientConfig) {
	for i, b := range cfg.endpoints() {
		one := cfg
		one.Broker, one.Brokers = b.URL, nil
		u := newUplink(one)
		u.directs, u.index, u.moves = c.directs, i, c.moved
		c.ups = append(c.ups, u)
	}
	c.up = c.ups[0]
	if len(c.ups) == 1 {
		return
	}
	c.fleet = newFleet(&cfg, c.ups)
	for _, u := range c.ups {
		u.fleet = c.fleet
	}
}

func (c *Client) start(ctx context.Context, cfg *ClientConfig) error {
	sides := make([]brokerSide, len(c.ups))
	for i, u := range c.ups {
		sides[i] = brokerSide{broker: u.cfg.Broker, side: (*clientSide)(u)}
	}
	var err error
	c.hub, err = startHub(ctx, hubConfig{
		heartbeat: cfg.Heartbeat, silence: cfg.Silence,
		brokers: sides, key: cfg.Key, accept: toClients, system: cfg.System, logger: cfg.Logger, context: cfg.Context, maxBody: cfg.MaxBody,
		perFrame: cfg.PerFrame, name: "troupe-client-" + randomName(), spin: cfg.Spin, busy: c.busy, stop: 2 * time.Second,
		children: []supervision.ChildSpec{c.directs.child()}, own: cfg.Children, watch: cfg.Watch,
	})
	if err != nil {
		return err
	}
	for i, u := range c.ups {
		u.link = c.hub.links[i]
	}
	if err := c.hub.begin(ctx); err != nil {
		_ = c.hub.close(ctx)
		return err
	}
	return nil
}

// busy reports that answers are expected.
func (c *Client) busy() bool {
	for _, u := range c.ups {
		if u.underway.Load() > 0 {
			return true
		}
	}
	return false
}

// watch ends what is under way when a part of the client fails. Close waits for it.
func (c *Client) watch() {
	defer close(c.watched)
	select {
	case <-c.ending.begun:
		return
	case <-c.hub.tree.Done():
	case <-c.hub.loop.Done():
	case <-c.hub.sentry.hung():
	}
	for _, u := range c.ups {
		u.finish(&Error{Status: wire.Internal, Text: fmt.Sprintf("a part of the client has failed (%v): close it and dial another one", c.hub.tree.Err())})
	}
}

// Close says goodbye to the broker, which ends the client's hits, and stops. Calls under way fail with ErrClosed.
func (c *Client) Close(ctx context.Context) error {
	return c.ending.come(ctx, func() error {
		<-c.watched
		for _, u := range c.ups {
			u.bye()
		}
		return errors.Join(c.heirs.close(ctx), c.hub.close(ctx))
	})
}

// Open opens a hit of a service; OpenWith has all choices.
func (c *Client) Open(ctx context.Context, service string) (*Hit, error) {
	return c.OpenWith(ctx, OpenRequest{Service: service})
}

// OpenRequest says what hit to open.
type OpenRequest struct {
	Service string
	Label   string // shown in listings
	Session any    // given to the worker's session as JSON; nil: nothing
	Route   Route  // of its calls; default Routed. One-shots are always routed
	// Resume asks the broker to keep the hit that long, and at most its --max-resume, when the client is lost: a client that comes back takes it up by
	// itself, another one by Hit.Ticket. 0: the hit ends with its client's connection.
	Resume time.Duration
	// Target says which of the service's workers may have the hit; the zero Target: any.
	Target Target
	// Task makes a single call (DoWith) one that is known by an id, and goes on without its client.
	Task Task
}

// OpenWith opens a hit: it waits for the broker if need be, and for a free slot, as long as ctx allows (without a deadline: as long as the broker
// does). The error is an *Error.
func (c *Client) OpenWith(ctx context.Context, r OpenRequest) (*Hit, error) {
	if next := c.heirs.instead(ctx); next != nil {
		return next.OpenWith(ctx, r)
	}
	h, err := c.openHere(ctx, r)
	if next := c.heirs.afterwards(ctx, err); next != nil {
		return next.OpenWith(ctx, r)
	}
	return h, err
}

func (c *Client) openHere(ctx context.Context, r OpenRequest) (*Hit, error) {
	if r.Route != Routed {
		return c.openRoute(ctx, r)
	}
	return c.openOn(ctx, r, 0)
}

// openOn opens a hit, with further flags.
func (c *Client) openOn(ctx context.Context, r OpenRequest, flags wire.Flags) (*Hit, error) {
	options, err := r.options()
	if err != nil {
		return nil, err
	}
	if r.Task != (Task{}) {
		return nil, &Error{Status: wire.BadFlag, Outcome: NeverStarted, Service: r.Service, Text: "OpenRequest.Task of a hit that stays open: a task is a single call, use DoWith"}
	}
	h := wire.Header{Type: wire.Open, Flags: wire.Ref | flags}
	a, err := c.ask(ctx, r, h, options, nil, nil)
	return a.hit, err
}

// ask sends an OPEN to the broker, or to one of several, and waits for what comes of it.
func (c *Client) ask(ctx context.Context, r OpenRequest, h wire.Header, options []byte, body [][]byte, progress func(Progress)) (answer, error) {
	if c.fleet != nil {
		_, a, err := c.fleet.travel(ctx, r, h, options, body, progress)
		return a, c.up.name(err, r.Service, 0)
	}
	for {
		p, err := c.up.open(ctx, r, h, options, body, progress)
		if err != nil {
			return answer{}, err
		}
		a, err := c.up.await(ctx, p, func() { c.up.withdraw(ctx, p) })
		if !slotTaken(err) {
			return a, c.up.name(err, r.Service, 0)
		}
	}
}

// slotTaken reports that an open lost its slot to a hit of another broker. It never started, and is sent again at once: the broker knows by now that there
// is no slot, and lets it wait.
func slotTaken(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == wire.SlotTaken && e.Outcome == NeverStarted
}

func (r *OpenRequest) options() ([]byte, error) {
	if err := wire.CheckService([]byte(r.Service)); err != nil {
		return nil, &Error{Status: wire.BadFrame, Outcome: NeverStarted, Text: err.Error(), Service: r.Service}
	}
	if r.Resume < 0 || r.Resume > 24*time.Hour || r.Resume > 0 && r.Resume < time.Millisecond {
		return nil, &Error{Status: wire.BadFrame, Outcome: NeverStarted, Text: fmt.Sprintf("OpenRequest.Resume is %v: from 1 ms to 24 h are possible", r.Resume), Service: r.Service}
	}
	if r.Label == "" && r.Session == nil && r.Resume == 0 && r.Target == (Target{}) && r.Task == (Task{}) {
		return nil, nil
	}
	o := wire.OpenOptions{Label: r.Label, ResumeMS: r.Resume.Milliseconds()}
	if r.Target != (Target{}) {
		if err := r.Target.Validate(); err != nil {
			return nil, &Error{Status: wire.BadFrame, Outcome: NeverStarted, Text: err.Error(), Service: r.Service}
		}
		o.Target = &r.Target
	}
	task, err := r.Task.options()
	if err != nil {
		return nil, &Error{Status: wire.BadFrame, Outcome: NeverStarted, Text: err.Error(), Service: r.Service}
	}
	o.Task = task
	if r.Session != nil {
		b, err := json.Marshal(r.Session)
		if err != nil {
			return nil, &Error{Status: wire.BadFrame, Outcome: NeverStarted, Text: "OpenRequest.Session has no JSON form: " + err.Error(), Service: r.Service}
		}
		o.Session = b
	}
	b := wire.JSON(o)
	switch {
	case len(r.Label) > wire.MaxName:
		return nil, &Error{
			Status: wire.BadFrame, Outcome: NeverStarted, Service: r.Service,
			Text: fmt.Sprintf("OpenRequest.Label has %d bytes: at most %d are possible", len(r.Label), wire.MaxName),
		}
	case len(b) > wire.MaxOptions:
		return nil, &Error{
			Status: wire.BadFrame, Outcome: NeverStarted, Service: r.Service,
			Text: fmt.Sprintf("OpenRequest.Session and Label have %d bytes as JSON: at most %d are possible, give the rest in a call", len(b), wire.MaxOptions),
		}
	}
	return b, nil
}

// Ready waits until the client is registered at its broker, or at one of several. The error is an *Error that is ErrBrokerGone when ctx ends before that, and
// the broker's refusal where it refuses the client for ever.
func (c *Client) Ready(ctx context.Context) error {
	if c.fleet != nil {
		return c.fleet.ready(ctx)
	}
	return c.up.ready(ctx)
}

// Admin asks the broker, of several one that is there, for what ADMIN offers; the answer is JSON.
func (c *Client) Admin(ctx context.Context, request any) (json.RawMessage, error) {
	u, err := c.present(ctx)
	if err != nil {
		return nil, err
	}
	return u.admin(ctx, request)
}

// Registered returns at how many of its brokers the client is registered.
func (c *Client) Registered() (n int) {
	for _, u := range c.ups {
		u.mu.Lock()
		if u.isUp {
			n++
		}
		u.mu.Unlock()
	}
	return n
}

// present returns the broker, of several one that is there.
func (c *Client) present(ctx context.Context) (*uplink, error) {
	if c.fleet == nil {
		return c.up, nil
	}
	if err := c.fleet.ready(ctx); err != nil {
		return nil, err
	}
	if u, err := c.fleet.any(); u != nil || err != nil {
		return u, err
	}
	return c.up, nil
}
