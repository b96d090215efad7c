package bridge

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// EndpointConfig says what one socket of a loop is for: either Bind (a ROUTER with any number of peers) or Connect (a DEALER towards
// one broker) is set.
type EndpointConfig struct {
	Bind    []string
	Connect string
	// Keeper is the PID that hears of peers: HELLO and READY, what names no known hit, and PeerGone.
	Keeper *actor.PID
	// OffLoop says that the keeper does not live on the loop's dispatcher, so that it gets copies.
	OffLoop bool
	// Accept lists the message types that may come in here; others are refused.
	Accept []wire.Type
	// Heartbeats makes a ROUTER find peers whose process stands still: libzmq's heartbeats, answered by the peer's own ZeroMQ thread. The price is that
	// nothing but their good will bounds how much such peers send at once (see zmqsock.Config.RecvHWM), so it is for workers, not for clients: those
	// are given up when they break the promise of their own heartbeats, or the kernel finds their host gone.
	Heartbeats bool
	// Judged says that somebody else gives silent peers up (Loop.Silent, HangUp, Reopen), and that libzmq is not to: it cannot tell a peer that fell silent
	// from a process of its own that stood still.
	Judged bool
	// Mute sends no heartbeats from a DEALER: those of the other side, and their answers, keep the connection from falling silent both ways.
	Mute bool
	// HangUp allows the loop to end the connection of a peer whose window and queue are full (clients: nobody else is hurt).
	HangUp bool
	// Curve encrypts the endpoint's connections, and lets known keys in only; nil: plain. A message of nobody is refused then.
	Curve *zmqsock.Curve
	// Direct makes a ROUTER one of a worker: each peer speaks for the hits that are bound to it (BindHit), and Guest is the way to it from any goroutine.
	Direct bool
	// Once gives a DEALER up when its connection is lost, in place of making a fresh one: its keeper hears of the loss, and the endpoint is shut.
	Once bool
	// Ends, on a DEALER, hears of each END before whoever serves its hit, whose mailbox may be blocked. It is called on the loop, and borrows the message.
	Ends func(*wire.Message)
}

// Endpoint is one socket of a loop. It belongs to the loop's goroutine, but for Addrs and Sender, which are safe for use from any.
type Endpoint struct {
	loop   *Loop
	number int // from 1
	cfg    EndpointConfig
	sock   *zmqsock.Socket
	keeper *actor.PID
	accept [256]bool
	addrs  []string

	peers     []*peer
	freePeers []int
	byID      map[string]*peer
	byFD      map[int]*peer // who speaks on which descriptor
	open      map[int]bool  // descriptors of all connections, as the monitor tells
	last      *peer         // whose message came last
	gen       uint64
	strangers strangers
	round     uint64 // batches received
	leavers   []*peer
	events    []zmqsock.Event

	// ROUTER with Direct only.
	posts *posts
	hits  map[uint64]direct

	// DEALER only.
	sender  *Sender
	refusal atomic.Pointer[Refusal]
	shut    bool // for good; its number is free
	line    line
}

func (c *EndpointConfig) validate() error {
	switch {
	case (len(c.Bind) == 0) == (c.Connect == ""):
		return fmt.Errorf("bridge: EndpointConfig has Bind %q and Connect %q: set one of the two", c.Bind, c.Connect)
	case c.Keeper == nil:
		return errors.New("bridge: EndpointConfig.Keeper is nil: name the PID that hears of peers")
	case len(c.Accept) == 0:
		return errors.New("bridge: EndpointConfig.Accept is empty: nothing could ever be received")
	}
	return nil
}

// Open adds a socket. It must be called before Serve, or on the loop.
func (l *Loop) Open(cfg EndpointConfig) (*Endpoint, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if l.closed {
		return nil, errors.New("bridge: the loop has ended: make a new one")
	}
	ep := &Endpoint{
		loop: l, cfg: cfg, keeper: cfg.Keeper,
		byID: make(map[string]*peer), byFD: make(map[int]*peer), open: make(map[int]bool),
	}
	if !l.place(ep) {
		return nil, fmt.Errorf("bridge: a loop has at most %d endpoints: bind several addresses to one, or use another client for more direct hits", maxEndpoints)
	}
	if cfg.Direct {
		ep.posts = newPosts(ep)
	}
	for _, t := range cfg.Accept {
		ep.accept[t] = true
	}
	if err := ep.start(0); err != nil {
		return nil, err
	}
	if cfg.Connect != "" {
		ep.greet()
	}
	l.keep(ep)
	l.repoll()
	return ep, nil
}

// start makes the socket and binds it, or connects it after a pause.
func (ep *Endpoint) start(pause time.Duration) error {
	c := ep.loop.cfg
	// The window bounds what waits for a peer in bytes. By count nothing may be refused before that: libzmq notices only every half of the
	// limit that messages have left.
	cfg := zmqsock.Config{
		Kind: zmqsock.Router, MaxMsgSize: maxFrame(c.MaxBody), PerFrame: c.PerFrame,
		SendHWM:   2*int(c.Window/wire.HeaderSize) + 1000,
		Heartbeat: -1, Unreachable: c.Silence, Curve: ep.cfg.Curve,
	}
	if ep.cfg.Heartbeats {
		cfg.Heartbeat, cfg.HeartbeatTimeout, cfg.RecvHWM = c.Heartbeat, c.Silence, -1
	}
	if ep.cfg.Connect != "" {
		// What waits towards a broker is bounded by the callers that wait for answers; a count would refuse some of them at random.
		cfg.Kind, cfg.SendHWM = zmqsock.Dealer, 0
		// The broker's windows bound what comes from it.
		cfg.RecvHWM = -1
		cfg.Heartbeat, cfg.HeartbeatTimeout, cfg.Promise, cfg.Unreachable = c.Heartbeat, c.Silence, c.Silence, 0
	}
	if ep.cfg.Mute {
		cfg.Heartbeat = -1
	}
	if ep.cfg.Judged {
		cfg.HeartbeatTimeout, cfg.Promise = -1, 0
	}
	s, err := ep.loop.ctx.Open(cfg)
	if err != nil {
		return err
	}
	if err = ep.loop.ctx.Monitor(s); err == nil {
		err = ep.attach(s, pause)
	}
	if err != nil {
		_ = s.Close()
		return err
	}
	ep.sock = s
	return nil
}

// maxFrame is the length of a frame at which libzmq ends the connection, unheard. Up to there what is too large is told so, which costs its memory
// for a moment; who goes beyond costs no more than that.
func maxFrame(maxBody int) int64 { return 2*int64(maxBody) + 64<<10 }

// attach binds a ROUTER, or connects a DEALER, now or after a pause.
func (ep *Endpoint) attach(s *zmqsock.Socket, pause time.Duration) error {
	if ep.cfg.Connect != "" {
		if ep.addrs == nil {
			ep.addrs = []string{ep.cfg.Connect}
		}
		ep.line = line{since: time.Duration(ep.loop.now), pause: pause}
		if pause > 0 {
			ep.line.due = ep.line.since + pause
			return nil
		}
		return s.Connect(ep.cfg.Connect)
	}
	for _, e := range ep.cfg.Bind {
		at, err := s.Bind(e)
		if err != nil {
			return err
		}
		ep.addrs = append(ep.addrs, at)
	}
	return nil
}

// greet makes the broker the only peer of a fresh DEALER, and gives the sender its socket.
func (ep *Endpoint) greet() {
	p := ep.admit(nil, -1)
	p.pid = ep.keeper
	if ep.sender == nil {
		ep.sender = newSender(ep)
	}
	ep.sender.attach(ep.sock, p.ref)
}

// Addrs returns the addresses bound or connected to, with the ports that were chosen.
func (ep *Endpoint) Addrs() []string { return append([]string(nil), ep.addrs...) }

// Sender returns the way to the broker from any goroutine; DEALER endpoints only.
func (ep *Endpoint) Sender() *Sender { return ep.sender }

// Broker returns the peer of a DEALER endpoint: another one after each loss of the connection. It belongs to the loop's goroutine.
func (ep *Endpoint) Broker() wire.Peer {
	if len(ep.peers) == 0 || ep.peers[0] == nil {
		return 0
	}
	return ep.peers[0].ref
}

// strangers counts refusals of peers that never registered: after a few answers they are ignored, since nothing bounds what
// waits towards a stranger that does not read.
type strangers map[string]int

const (
	maxStrangers       = 1024
	answersPerStranger = 16
)

func (s *strangers) mayAnswer(id []byte) bool {
	if *s == nil || len(*s) >= maxStrangers {
		*s = make(strangers)
	}
	(*s)[string(id)]++
	return (*s)[string(id)] <= answersPerStranger
}
