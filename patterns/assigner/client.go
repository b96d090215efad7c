package assigner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// ClientConfig says how a client reaches its broker. Every zero value is the documented default.
type ClientConfig struct {
	Broker string // the broker's endpoint for clients; default DefaultClients
	Name   string // shown in listings; default: host name and process id

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
	// PerFrame uses the ZeroMQ binding's per-frame calls in place of the batch shim.
	PerFrame bool
}

// Validate reports the first field that cannot be used.
func (c *ClientConfig) Validate() error {
	if err := zmqsock.CheckEndpoint("connect", c.Broker); err != nil {
		return err
	}
	if len(c.Name) > wire.MaxName || c.Spin < 0 || c.MaxBody < 0 {
		return fmt.Errorf("assigner: ClientConfig.Name has %d bytes (at most %d), Spin is %d and MaxBody %d (not negative)", len(c.Name), wire.MaxName, c.Spin, c.MaxBody)
	}
	return nil
}

// Client opens hits at a broker. It is safe for use by many goroutines.
type Client struct {
	cfg      ClientConfig
	link     *link
	underway atomic.Int64 // calls and opens without an answer yet
	refs     atomic.Uint64
	maxBody  atomic.Int64 // the broker's
	ending   ending
	watched  chan struct{} // closed when watch has ended
	over     chan struct{} // closed when nothing can be asked for any more

	mu     sync.Mutex
	up     chan struct{} // closed while registered
	isUp   bool
	end    *Error // why nothing can be asked for any more
	peer   wire.Peer
	reason string // of the last loss
	opens  map[uint64]*pending
	hits   map[uint64]*Hit
}

// Dial starts a client. It does not wait for the broker, which may be started later: opens wait for it as long as their contexts allow.
func Dial(ctx context.Context, cfg ClientConfig) (*Client, error) {
	def(&cfg.Broker, DefaultClients)
	def(&cfg.Spin, 20)
	if cfg.Name == "" {
		h, _ := os.Hostname()
		cfg.Name = fmt.Sprintf("%s-%d", h, os.Getpid())
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Client{
		cfg: cfg, ending: newEnding(), watched: make(chan struct{}), over: make(chan struct{}), up: make(chan struct{}),
		opens: make(map[uint64]*pending), hits: make(map[uint64]*Hit), reason: "no broker has answered at " + cfg.Broker,
	}
	l, err := startLink(ctx, linkConfig{
		heartbeat: cfg.Heartbeat, silence: cfg.Silence,
		broker: cfg.Broker, accept: toClients, system: cfg.System, logger: cfg.Logger, context: cfg.Context, maxBody: cfg.MaxBody,
		perFrame: cfg.PerFrame, name: "troupe-client-" + randomName(), spin: cfg.Spin, busy: func() bool { return c.underway.Load() > 0 }, stop: 2 * time.Second,
	}, (*clientSide)(c))
	if err != nil {
		return nil, err
	}
	c.link = l
	if err := l.begin(ctx); err != nil {
		_ = l.close(ctx)
		return nil, err
	}
	go c.watch()
	return c, nil
}

// watch ends what is under way when a part of the client fails. Close waits for it.
func (c *Client) watch() {
	defer close(c.watched)
	select {
	case <-c.ending.begun:
		return
	case <-c.link.tree.Done():
	case <-c.link.loop.Done():
	}
	c.finish(&Error{Status: wire.Internal, Text: fmt.Sprintf("a part of the client has failed (%v): close it and dial another one", c.link.tree.Err())})
}

// finish fails all that is under way, and all that will be asked for; the first reason stays.
func (c *Client) finish(e *Error) {
	c.mu.Lock()
	if c.end == nil {
		c.end = e
		close(c.over)
	}
	c.mu.Unlock()
	c.failAll(e)
}

// Close says goodbye to the broker, which ends the client's hits, and stops. Calls under way fail with ErrClosed.
func (c *Client) Close(ctx context.Context) error {
	return c.ending.come(ctx, func() error {
		<-c.watched
		c.finish(&Error{Status: wire.IsClosed, Text: "the client was closed: dial another one"})
		_ = c.link.ep.Sender().Send(&wire.Header{Type: wire.Bye})
		return c.link.close(ctx)
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
}

// OpenWith opens a hit: it waits for the broker if need be, and for a free slot, as long as ctx allows (without a deadline: as long as the broker
// does). The error is an *Error.
func (c *Client) OpenWith(ctx context.Context, r OpenRequest) (*Hit, error) {
	options, err := r.options()
	if err != nil {
		return nil, err
	}
	h := wire.Header{Type: wire.Open, Flags: wire.Ref}
	p, err := c.open(ctx, r.Service, h, options, nil, nil)
	if err != nil {
		return nil, err
	}
	a, err := c.await(ctx, p, func() { c.forget(p) })
	if err != nil {
		return nil, c.name(err, r.Service, 0)
	}
	return a.hit, nil
}

// Do opens a hit, makes one call and closes it, in one message each way.
func (c *Client) Do(ctx context.Context, service string, body []byte) ([]byte, error) {
	a, err := c.DoWith(ctx, OpenRequest{Service: service}, Request{Frames: [][]byte{body}})
	if err != nil {
		return nil, err
	}
	return a[0], nil
}

// DoWith is Do with all choices. The reply's frames are the caller's.
func (c *Client) DoWith(ctx context.Context, r OpenRequest, call Request) ([][]byte, error) {
	options, err := r.options()
	if err != nil {
		return nil, err
	}
	h := wire.Header{Type: wire.Open, Flags: wire.Ref | wire.First | wire.Last}
	p, err := c.open(ctx, r.Service, h, options, call.frames(), call.Progress)
	if err != nil {
		return nil, err
	}
	a, err := c.await(ctx, p, func() { c.forget(p) })
	if err != nil {
		return nil, c.name(err, r.Service, 0)
	}
	return a.frames, nil
}

func (r *OpenRequest) options() ([]byte, error) {
	if err := wire.CheckService([]byte(r.Service)); err != nil {
		return nil, &Error{Status: wire.BadFrame, Outcome: NeverStarted, Text: err.Error(), Service: r.Service}
	}
	if r.Label == "" && r.Session == nil {
		return nil, nil
	}
	o := wire.OpenOptions{Label: r.Label}
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

// open sends an OPEN as soon as there is a broker.
func (c *Client) open(ctx context.Context, service string, h wire.Header, options []byte, body [][]byte, progress func(Progress)) (*pending, error) {
	p := newPending(progress)
	p.service, p.oneshot = service, h.Flags.Has(wire.First)
	if err := c.Ready(ctx); err != nil {
		return nil, c.name(err, service, 0)
	}
	if err := c.tooLarge(body); err != nil {
		return nil, c.name(err, service, 0)
	}
	h.Arg, h.Hit = deadline(ctx), c.refs.Add(1)
	frames := make([][]byte, 0, 2+len(body))
	frames = append(append(frames, []byte(service), options), body...)
	if err := c.ask(p, h.Hit, &h, frames...); err != nil {
		return nil, c.name(err, service, 0)
	}
	return p, nil
}

// ask sends what will be answered by its reference.
func (c *Client) ask(p *pending, ref uint64, h *wire.Header, frames ...[]byte) error {
	p.ref = ref
	c.mu.Lock()
	end, peer := c.end, c.peer
	if end == nil {
		c.opens[ref] = p
		c.underway.Add(1)
	}
	c.mu.Unlock()
	if end != nil {
		return end.notStarted()
	}
	if err := c.link.ep.Sender().SendOn(peer, h, frames...); err != nil {
		c.takeOpen(ref)
		c.settle(p, answer{err: c.gone(NeverStarted)})
	}
	return nil
}

// Ready waits until the client is registered at its broker. The error is an *Error that is ErrBrokerGone when ctx ends before that, and
// the broker's refusal where it refuses the client for ever.
func (c *Client) Ready(ctx context.Context) error {
	for {
		c.mu.Lock()
		up, is, end, reason := c.up, c.isUp, c.end, c.reason
		c.mu.Unlock()
		switch {
		case end != nil:
			return end.notStarted()
		case is:
			return unstarted(ctx)
		}
		select {
		case <-up:
		case <-c.over:
		case <-c.link.failed:
			return c.link.err
		case <-ctx.Done():
			return &Error{
				Status: wire.BrokerGone, Outcome: NeverStarted, cause: context.Cause(ctx),
				Text: fmt.Sprintf("no broker is reached at %s (%s): is it running?", c.cfg.Broker, reason),
			}
		}
	}
}

func (c *Client) tooLarge(frames [][]byte) error {
	n := 0
	for _, f := range frames {
		n += len(f)
	}
	switch limit := c.maxBody.Load(); {
	case int64(n) > limit:
		return &Error{Status: wire.TooLarge, Outcome: NeverStarted, Text: fmt.Sprintf("the body has %d bytes, the broker takes %d (its --max-body): send less", n, limit)}
	case len(frames) > wire.MaxBodies:
		return &Error{Status: wire.BadFrame, Outcome: NeverStarted, Text: fmt.Sprintf("the body has %d frames, at most %d are possible", len(frames), wire.MaxBodies)}
	}
	return nil
}

// Admin asks the broker for what ADMIN offers; the answer is JSON.
func (c *Client) Admin(ctx context.Context, request any) (json.RawMessage, error) {
	if err := c.Ready(ctx); err != nil {
		return nil, err
	}
	p, ref := newPending(nil), uint32(c.refs.Add(1))
	if err := c.ask(p, uint64(ref), &wire.Header{Type: wire.Admin, Arg: ref}, wire.JSON(request)); err != nil {
		return nil, err
	}
	a, err := c.await(ctx, p, func() { c.takeOpen(p.ref) })
	if err != nil {
		return nil, err
	}
	return a.frames[0], nil
}

// deadline is the ctx's as an arg, in ms; 0 without one. It is a little shorter than the caller's own patience, a tenth but at most
// 50 ms, so that the answer "expired, never started" is here before the caller gives up and has to call the outcome unknown.
func deadline(ctx context.Context) uint32 {
	at, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	left := time.Until(at)
	left -= min(left/10, 50*time.Millisecond)
	return uint32(min(max(left/time.Millisecond, 1), 1<<32-1))
}

func (c *Client) name(err error, service string, hit uint64) error {
	var e *Error
	if errors.As(err, &e) && e.Service == "" {
		named := *e
		named.Service, named.Hit = service, hit
		return &named
	}
	return err
}
