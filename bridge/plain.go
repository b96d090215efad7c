package bridge

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// PlainConfig says what a plain endpoint is for: a ROUTER whose peers are ordinary ZeroMQ sockets that know nothing of HIT/1
// (docs/bridge.md). Bind is required; the other zero values are the documented defaults.
type PlainConfig struct {
	// Bind lists the endpoints; tcp://127.0.0.1:0 lets the system choose a port.
	Bind []string
	// Insecure allows endpoints that other hosts can reach. Anybody there may then send to every registered actor, under any identity.
	Insecure bool
	// Default gets messages with an empty address, as all of a REQ socket's are. Default: nobody, and they are refused.
	Default *actor.PID
	// Keeper hears *PeerJoined and *PeerLeft of every peer. Default: nobody.
	Keeper *actor.PID
	// Queue is the most messages to one peer that may wait here, and again in libzmq. Plain peers acknowledge nothing, so it counts
	// messages, not bytes. Default 1000.
	Queue int
}

const defaultQueue = 1000

// Validate reports the first field that cannot be used.
func (c *PlainConfig) Validate() error {
	if len(c.Bind) == 0 {
		return errors.New("bridge: PlainConfig.Bind is empty: name at least one endpoint, as in tcp://127.0.0.1:5700")
	}
	if c.Queue < 0 {
		return fmt.Errorf("bridge: PlainConfig.Queue is %d messages: it cannot be negative", c.Queue)
	}
	for _, ep := range c.Bind {
		if !c.Insecure && !zmqsock.Local(ep) {
			return fmt.Errorf("bridge: PlainConfig.Bind has %s, which other hosts can reach, unencrypted: bind to 127.0.0.1 or ipc, or set Insecure", ep)
		}
	}
	return nil
}

// Plain is an endpoint for plain ZeroMQ peers. It gives their identities PIDs, and gives actors names that peers can write to. All
// exported methods are safe for use from any goroutine.
type Plain struct {
	loop   *Loop
	system *actor.ActorSystem
	cfg    PlainConfig
	sock   *zmqsock.Socket
	prefix string // of the PIDs of its peers
	addrs  []string
	stats  PlainStats

	// The loop's alone.
	byFD   map[int]*plainPeer
	fds    map[int]uint8 // what is known of descriptors
	recent []int         // closed since the socket was found empty
	ending []*plainPeer  // their connections are lost, their last words perhaps not read yet
	rounds int           // batches since the first of them
	events []zmqsock.Event
	back   *zmqsock.Out // being sent
	spare  []letter

	mu       sync.Mutex
	peers    map[string]*plainPeer // by identity; changed on the loop only
	names    names
	return0  uint64 // where return addresses of this run begin
	returned uint64 // how many were given
	out      *zmqsock.Out
	letters  []letter // of each message in out
	closed   bool
}

// PlainStats counts what goes over a plain endpoint besides what Stats counts. All fields may be read from any goroutine.
type PlainStats struct {
	Peers      atomic.Int64  // connected now
	Unknown    atomic.Uint64 // messages to a name that no living actor has
	Late       atomic.Uint64 // answers that nobody waits for any more
	Bad        atomic.Uint64 // messages with too many frames or bytes
	Ignored    atomic.Uint64 // messages over connections that were given up
	Absent     atomic.Uint64 // messages to peers that are not connected
	Full       atomic.Uint64 // messages to peers that do not read
	Unsendable atomic.Uint64 // messages to peers that are of no type that can be sent
}

var plains atomic.Uint64

// OpenPlain adds an endpoint for plain peers. It must be called before Serve, or on the loop.
func (l *Loop) OpenPlain(cfg PlainConfig) (*Plain, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	def(&cfg.Queue, defaultQueue)
	p := &Plain{
		loop: l, system: l.cfg.System, cfg: cfg, prefix: "zmq/" + strconv.FormatUint(plains.Add(1), 10) + "/",
		byFD: make(map[int]*plainPeer), fds: make(map[int]uint8), peers: make(map[string]*plainPeer), return0: randomBase(),
		out: zmqsock.NewOut(), back: zmqsock.NewOut(),
	}
	c := l.cfg
	// No heartbeats: libzmq 4.3.4 aborts the process when one falls due on a connection that broke while nobody read it, which any peer
	// can bring about. Those that send heartbeats themselves are given up when theirs cease (ZMQ_HEARTBEAT_TTL).
	// The newest connection of an identity has it: otherwise one that comes back before the loss of its forerunner is dealt with
	// stays deaf for ever.
	s, err := l.ctx.Open(zmqsock.Config{
		Kind: zmqsock.Router, MaxMsgSize: int64(c.MaxBody), PerFrame: c.PerFrame, SendHWM: cfg.Queue,
		Heartbeat: -1, Unreachable: c.Silence, Handover: true,
	})
	if err != nil {
		return nil, err
	}
	if err := p.bind(s); err != nil {
		_ = s.Close()
		return nil, err
	}
	p.sock = s
	l.plains = append(l.plains, p)
	l.repoll()
	return p, nil
}

func (p *Plain) bind(s *zmqsock.Socket) error {
	if err := p.loop.ctx.Monitor(s); err != nil {
		return err
	}
	for _, ep := range p.cfg.Bind {
		at, err := s.Bind(ep)
		if err != nil {
			return err
		}
		p.addrs = append(p.addrs, at)
	}
	return nil
}

// Addrs returns the addresses bound, with the ports that were chosen.
func (p *Plain) Addrs() []string { return append([]string(nil), p.addrs...) }

// Stats returns the endpoint's counters.
func (p *Plain) Stats() *PlainStats { return &p.stats }

// PID returns the PID of an identity, equal for every call, whether such a peer is connected or not. It costs nothing to have one: while the
// peer is not connected, the engine treats it as any PID of a dead actor; a peer that comes back is reached by the same PID.
func (p *Plain) PID(identity string) *actor.PID {
	return p.system.NewLocalPID(p.prefix + quote(identity))
}

// quote keeps simple identities readable, and all of them distinct: what is quoted begins with a quote.
func quote(identity string) string {
	for i := range len(identity) {
		c := identity[i]
		simple := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' || c == ':'
		if !simple {
			return strconv.QuoteToASCII(identity)
		}
	}
	return identity
}

// end gives all peers up, tells who watches them, and frees what is not the socket's. It runs on the loop, once.
func (p *Plain) end() {
	p.mu.Lock()
	p.closed = true
	peers := make([]*plainPeer, 0, len(p.peers))
	for _, peer := range p.peers {
		peers = append(peers, peer)
	}
	p.names = names{}
	p.mu.Unlock()
	for _, peer := range peers {
		p.lose(peer, loss{actor.TerminatedReason_Stopped, "closed", "the bridge was closed"})
	}
	p.flush()
	_ = p.sock.Close()
	// Nothing is written any more, since nobody is connected.
	p.out.Free()
	p.back.Free()
}
