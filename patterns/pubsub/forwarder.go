package pubsub

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/internal/station"
)

// ForwarderConfig says how a forwarder works. Connect and Bind are required; the other zero values are the documented defaults.
type ForwarderConfig struct {
	// Connect lists the publishers' endpoints, Bind those for subscribers.
	Connect, Bind []string
	Access
	// Plain is for publishers that are plain PUB sockets.
	Plain bool
	// Queue is how many updates may wait here for one subscriber, and from one publisher; default 1000.
	Queue int
	// MaxBody is the most bytes of one frame; default 1 MiB.
	MaxBody int
	// Slow and Disconnect are as in PublisherConfig.
	Slow       time.Duration
	Disconnect bool

	Logger  *slog.Logger     // default: slog.Default()
	Context *zmqsock.Context // default: shared by all of the process, which inproc endpoints need
	Poison  bool             // overwrite released bytes; for tests
}

// Validate reports the first field that cannot be used.
func (c *ForwarderConfig) Validate() error {
	switch {
	case len(c.Bind) == 0 || len(c.Connect) == 0:
		return fmt.Errorf("pubsub: ForwarderConfig.Bind has %d endpoints and Connect %d: at least one each is needed", len(c.Bind), len(c.Connect))
	case c.Queue < 0 || c.MaxBody < 0 || c.Slow < 0:
		return fmt.Errorf("pubsub: Queue %d, MaxBody %d, Slow %v: none may be negative", c.Queue, c.MaxBody, c.Slow)
	}
	if err := c.Check(c.Bind, c.Connect); err != nil {
		return fmt.Errorf("pubsub: %w", err)
	}
	return nil
}

// Forwarder merges several publishers onto its own endpoints. Subscriptions go through to the publishers, so that only what somebody wants comes here; so do
// requests, and updates keep their numbers: gaps are seen and filled across forwarders, too. All methods are safe for use from any goroutine.
type Forwarder struct {
	cfg     ForwarderConfig
	station *station.Station

	// The loop's alone.
	front   *station.Port
	ups     []*upstream
	gathers map[string]*gather
	out     *zmqsock.Out
	in      [][]byte
	readers readers
	lull    lull

	count struct{ forwarded, requests, bad atomic.Uint64 }
}

// upstream is the connection to one publisher.
type upstream struct {
	endpoint  string
	port      *station.Port
	connected atomic.Bool
}

// gather is a request whose answers are waited for: only the last one says that all publishers know.
type gather struct {
	waiting  map[*upstream]bool
	answered bool
}

// ForwarderStats counts what a forwarder has done.
type ForwarderStats struct {
	Forwarded uint64 // updates and answers
	Requests  uint64 // from subscribers
	Bad       uint64 // messages of subscribers that make no sense
	Connected []string
	Slow      []Slow
	// Disconnected is how many connections were ended because nothing was taken there.
	Disconnected uint64
}

// NewForwarder binds, connects and runs a forwarder, until Close or the end of ctx.
func NewForwarder(ctx context.Context, cfg ForwarderConfig) (*Forwarder, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	station.Default(&cfg.Queue, 1000)
	station.Default(&cfg.MaxBody, 1<<20)
	station.Default(&cfg.Slow, 2*time.Second)
	cfg.Logger = station.Logger(cfg.Logger)
	f := &Forwarder{cfg: cfg, gathers: make(map[string]*gather), out: zmqsock.NewOut()}
	f.readers = readers{patience: cfg.Slow, disconnect: cfg.Disconnect, logger: cfg.Logger}
	var err error
	f.station, err = station.New(station.Config{
		Name: "forwarder", Logger: cfg.Logger, Context: cfg.Context, Access: cfg.Access, Turn: f.turn, End: f.out.Free, Poison: cfg.Poison,
	})
	if err != nil {
		return nil, err
	}
	if err := f.open(); err != nil {
		f.station.Abandon()
		return nil, err
	}
	f.station.Run(ctx)
	return f, nil
}

func (f *Forwarder) open() error {
	var err error
	f.front, err = f.station.Open(station.Spec{
		Config: zmqsock.Config{Kind: zmqsock.XPub, SendHWM: f.cfg.Queue, MaxMsgSize: maxAsk + 1},
		Bind:   f.cfg.Bind, Hear: f.hearBelow, FDs: true,
		Notice: func(e zmqsock.Event) {
			if e.Kind == zmqsock.Disconnected {
				f.readers.gone(e.FD)
			}
		},
	})
	if err != nil {
		return err
	}
	for _, ep := range f.cfg.Connect {
		u := &upstream{endpoint: ep}
		u.connected.Store(strings.HasPrefix(ep, "inproc://")) // nothing is ever said of those
		u.port, err = f.station.Open(station.Spec{
			Config:  zmqsock.Config{Kind: zmqsock.XSub, RecvHWM: f.cfg.Queue, MaxMsgSize: int64(f.cfg.MaxBody)},
			Connect: []string{ep},
			Hear:    func(in *zmqsock.In, i int) { f.hearAbove(u, in, i) },
			Notice:  func(e zmqsock.Event) { f.notice(u, e) },
		})
		if err != nil {
			return err
		}
		f.ups = append(f.ups, u)
	}
	return nil
}

// hearAbove takes what a publisher says.
func (f *Forwarder) hearAbove(u *upstream, in *zmqsock.In, i int) {
	f.in = in.Frames(i, f.in[:0])
	if len(f.in) > 1 && len(f.in[0]) > 1 && f.in[0][0] == know[0] {
		if h, ok := parseHeader(f.in[1]); ok && (h.kind == known || h.kind == heard) {
			f.answered(u, string(f.in[0]), h)
			return
		}
	}
	f.count.forwarded.Add(1)
	f.out.Add(f.front.Sock, nil, false)
	f.out.Forward(in, i, 0)
}

// hearBelow takes what a subscriber says.
func (f *Forwarder) hearBelow(in *zmqsock.In, i int) {
	f.in = in.Frames(i, f.in[:0])
	said, fd := f.in[0], in.Meta(i).FD
	f.readers.met(fd, f.station.Now())
	if len(said) == 0 || said[0] > 1 {
		name, n, ok := parseLost(said)
		if !ok {
			f.count.bad.Add(1)
			return
		}
		f.readers.lost(name, fd, n, f.station.Now())
		return
	}
	if len(said) > 1 && said[1] == know[0] && !f.requested(said[0] == 1, string(said[1:]), fd) {
		return
	}
	for _, u := range f.ups {
		f.out.Add(u.port.Sock, nil, false)
		f.out.Forward(in, i, 0)
	}
}

// requested takes a request, or the end of one, and reports whether publishers are to hear it.
func (f *Forwarder) requested(on bool, text string, fd int) bool {
	if !on {
		delete(f.gathers, text)
		return true
	}
	r, ok := parseRequest([]byte(text))
	if !ok {
		f.count.bad.Add(1)
		return false
	}
	f.count.requests.Add(1)
	if !r.know {
		return true
	}
	f.readers.named(r.name, fd)
	if f.cfg.Plain {
		f.tell(text, header{kind: known}) // whoever is above has been told, and answers nothing
		return false
	}
	g := &gather{waiting: make(map[*upstream]bool)}
	for _, u := range f.ups {
		if u.connected.Load() {
			g.waiting[u] = true
		}
	}
	f.gathers[text] = g
	return true
}

// answered takes a publisher's word that it knows.
func (f *Forwarder) answered(u *upstream, text string, h header) {
	g := f.gathers[text]
	if g == nil {
		return
	}
	g.answered = true
	if h.kind == known {
		delete(g.waiting, u)
	}
	if h.kind = heard; len(g.waiting) == 0 {
		h.kind = known
		delete(f.gathers, text)
	}
	f.tell(text, h)
}

func (f *Forwarder) tell(text string, h header) {
	if strings.HasPrefix(text, know+again) {
		f.out.Send() // all of it comes before the answer
		f.out.Reset()
		f.lull.keep(f.station.Now())
	}
	f.out.Add(f.front.Sock, nil, false)
	f.out.Append([]byte(text))
	b := h.bytes()
	f.out.Append(b[:])
}

// notice takes what happens to a publisher's connection. One that is lost is not waited for; those that connect hear of all subscriptions and requests by
// themselves.
func (f *Forwarder) notice(u *upstream, e zmqsock.Event) {
	switch e.Kind {
	case zmqsock.Established:
		u.connected.Store(true)
	case zmqsock.Disconnected:
		u.connected.Store(false)
		f.cfg.Logger.Info("the connection to a publisher is lost", "endpoint", u.endpoint)
		for text, g := range f.gathers {
			if delete(g.waiting, u); len(g.waiting) == 0 && g.answered {
				delete(f.gathers, text)
				f.tell(text, header{kind: known})
			}
		}
	case zmqsock.Refused:
		f.cfg.Logger.Warn("a publisher does not let this forwarder in", "endpoint", u.endpoint, "reason", e.Failure)
	}
}

func (f *Forwarder) turn(now time.Duration) (int, time.Duration) {
	wait := f.readers.look(now)
	n := f.out.Len()
	f.out.Send() // XPUB and XSUB take everything
	f.out.Reset()
	return n, wait
}

// Addrs returns the endpoints bound, with the ports that were chosen.
func (f *Forwarder) Addrs() []string { return f.front.Addrs() }

// Stats returns the counters so far.
func (f *Forwarder) Stats() ForwarderStats {
	s := ForwarderStats{Forwarded: f.count.forwarded.Load(), Requests: f.count.requests.Load(), Bad: f.count.bad.Load()}
	for _, u := range f.ups {
		if u.connected.Load() {
			s.Connected = append(s.Connected, u.endpoint)
		}
	}
	_, s.Slow, s.Disconnected = f.readers.snapshot()
	return s
}

// Close ends the forwarder. It returns why it had ended before, if it had.
func (f *Forwarder) Close(ctx context.Context) error { return f.station.Close(ctx) }

// Done is closed when the forwarder has ended.
func (f *Forwarder) Done() <-chan struct{} { return f.station.Done() }
