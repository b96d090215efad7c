package proxy

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/internal/station"
)

// retry is how soon a message that nobody takes is offered again.
const retry = 5 * time.Millisecond

// spin is how often the loop yields before it sleeps.
const spin = 20

// Proxy joins two sides. All methods are safe for use from any goroutine.
type Proxy struct {
	cfg     Config
	station *station.Station

	// The loop's alone.
	front, back      *station.Port
	capture, control *station.Port // nil: none
	forth, home      *flow         // from the front, and from the back; a Streamer has nothing in home
	copies, replies  *zmqsock.Out

	paused atomic.Bool
}

// Flow counts one direction.
type Flow struct {
	Messages uint64 `json:"messages"` // taken
	Bytes    uint64 `json:"bytes"`    // of all their frames
	Sent     uint64 `json:"sent"`
	Dropped  uint64 `json:"dropped"` // the receiver has gone or does not read
	Bad      uint64 `json:"bad"`     // of more than 64 frames, or an answer for nobody: not forwarded
}

// Stats counts what a proxy has done.
type Stats struct {
	Kind      string `json:"kind"`
	Paused    bool   `json:"paused"`
	FromFront Flow   `json:"from_front"`
	FromBack  Flow   `json:"from_back"` // of a Forwarder: subscriptions
}

// New binds, connects and runs a proxy, until Close, TERMINATE at a control endpoint, or the end of ctx.
func New(ctx context.Context, cfg Config) (*Proxy, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	station.Default(&cfg.Queue, 1000)
	station.Default(&cfg.MaxBody, 64<<20)
	cfg.Logger = station.Logger(cfg.Logger)
	p := &Proxy{cfg: cfg, forth: newFlow("front"), home: newFlow("back"), copies: zmqsock.NewOut(), replies: zmqsock.NewOut()}
	var err error
	p.station, err = station.New(station.Config{
		Name: cfg.Kind.String(), Logger: cfg.Logger, Context: cfg.Context, Access: cfg.Access, Turn: p.turn, End: p.end, Spin: spin, Poison: cfg.Poison,
	})
	if err != nil {
		return nil, err
	}
	if err := p.open(); err != nil {
		p.station.Abandon()
		return nil, err
	}
	p.station.Run(ctx)
	return p, nil
}

func (p *Proxy) open() error {
	var err error
	front, back := p.cfg.kinds()
	if p.front, err = p.side(p.cfg.Front, front, p.forth); err != nil {
		return err
	}
	if p.back, err = p.side(p.cfg.Back, back, p.home); err != nil {
		return err
	}
	p.forth.from, p.forth.to, p.forth.waits = p.front, p.back, p.cfg.Kind != Forwarder
	p.home.from, p.home.to = p.back, p.front
	if p.cfg.Kind == Queue {
		p.home.least = 2
	}
	if len(p.cfg.Capture) > 0 {
		p.capture, err = p.station.Open(station.Spec{Config: zmqsock.Config{Kind: zmqsock.Pub, SendHWM: p.cfg.Queue}, Bind: p.cfg.Capture})
		if err != nil {
			return err
		}
	}
	if len(p.cfg.Control) > 0 {
		p.control, err = p.station.Open(station.Spec{Config: zmqsock.Config{Kind: zmqsock.Rep, MaxMsgSize: 1000}, Bind: p.cfg.Control, Hear: p.command})
	}
	return err
}

// side opens one side; what comes there flows.
func (p *Proxy) side(s Side, kind zmqsock.Kind, f *flow) (*station.Port, error) {
	spec := station.Spec{
		Config: zmqsock.Config{Kind: kind, SendHWM: p.cfg.Queue, RecvHWM: p.cfg.Queue, MaxMsgSize: int64(p.cfg.MaxBody)},
		Bind:   s.Bind, Connect: s.Connect,
	}
	spec.Immediate = kind == zmqsock.Push || kind == zmqsock.Dealer // nothing waits for whom nobody has seen
	if kind == zmqsock.Push {
		return p.station.Open(spec)
	}
	if len(p.cfg.Capture) == 0 && zmqsock.CheckLayout() == nil {
		spec.Relay = f.relay
		return p.station.Open(spec)
	}
	spec.Hear = func(in *zmqsock.In, i int) {
		if f.hear(in, i) && p.capture != nil {
			p.copies.Add(p.capture.Sock, nil, false)
			p.copies.Append([]byte(f.name))
			p.copies.Forward(in, i, 0)
		}
	}
	return p.station.Open(spec)
}

// turn forwards what has come. A side is not read while what came from it waits.
func (p *Proxy) turn(time.Duration) (did int, wait time.Duration) {
	did, wait = p.forth.send()+p.home.send(), -1
	if p.copies.Len() > 0 {
		p.copies.Send() // a PUB takes everything
		p.copies.Reset()
	}
	if p.replies.Len() > 0 {
		did += p.replies.Len()
		p.replies.Send()
		p.replies.Reset()
	}
	blocked := p.forth.blocked()
	p.station.Hold(p.front, p.paused.Load() || blocked)
	if p.cfg.Kind != Streamer {
		p.station.Hold(p.back, p.paused.Load())
	}
	if blocked {
		wait = retry
	}
	return did, wait
}

func (p *Proxy) end() {
	for _, f := range []*flow{p.forth, p.home} {
		if n := f.free(); n > 0 {
			p.cfg.Logger.Warn("messages that nobody took are lost with the proxy", "from", f.name, "count", n)
		}
	}
	p.copies.Free()
	p.replies.Free()
}

// Pause stops forwarding: what comes meanwhile waits in the queues of the sockets, and then at those who send (publishers drop it then). It has effect when it
// returns. The error is ErrClosed.
func (p *Proxy) Pause() error { return p.set("pause", true) }

// Resume goes on after Pause. The error is ErrClosed.
func (p *Proxy) Resume() error { return p.set("resume", false) }

func (p *Proxy) set(op string, paused bool) error {
	done := make(chan struct{})
	if !p.station.Do(func() { p.hold(paused); close(done) }) {
		return fmt.Errorf("proxy: %s: %w: it has ended: make a new one", op, ErrClosed)
	}
	<-done
	return nil
}

func (p *Proxy) hold(paused bool) {
	p.paused.Store(paused)
	p.station.Hold(p.front, paused || p.forth.blocked())
	if p.cfg.Kind != Streamer {
		p.station.Hold(p.back, paused)
	}
}

// FrontAddrs returns the endpoints bound in front, with the ports that were chosen.
func (p *Proxy) FrontAddrs() []string { return p.front.Addrs() }

// BackAddrs is FrontAddrs of the other side.
func (p *Proxy) BackAddrs() []string { return p.back.Addrs() }

// CaptureAddrs is FrontAddrs of the capture socket.
func (p *Proxy) CaptureAddrs() []string { return addrs(p.capture) }

// ControlAddrs is FrontAddrs of the control socket.
func (p *Proxy) ControlAddrs() []string { return addrs(p.control) }

func addrs(p *station.Port) []string {
	if p == nil {
		return nil
	}
	return p.Addrs()
}

// Stats returns the counters so far.
func (p *Proxy) Stats() Stats {
	return Stats{Kind: p.cfg.Kind.String(), Paused: p.paused.Load(), FromFront: p.forth.stats(), FromBack: p.home.stats()}
}

// Close ends the proxy (zmq_proxy_steerable's TERMINATE): what it has taken is sent if somebody takes it at once. It returns why the proxy had ended before, if it had.
func (p *Proxy) Close(ctx context.Context) error { return p.station.Close(ctx) }

// Done is closed when the proxy has ended.
func (p *Proxy) Done() <-chan struct{} { return p.station.Done() }
