//go:build cgo

package zmqsock

import (
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	zmq "github.com/pebbe/zmq4"

	_ "github.com/troupe-mq/troupe/bridge/zmqsock/libzmq" // names the remedy where libzmq is missing
)

// Context is a libzmq context: one per process is enough, tests and embedders may have their own.
type Context struct{ c *zmq.Context }

// NewContext returns a fresh context. It must be ended by Term after all its sockets are closed.
func NewContext() (*Context, error) {
	keepMemory()
	c, err := zmq.NewContext()
	if err != nil {
		return nil, fmt.Errorf("zmqsock: no context: %w", err)
	}
	if err := c.SetMaxSockets(maxSockets); err != nil {
		_ = c.Term()
		return nil, fmt.Errorf("zmqsock: no context for %d sockets: %w", maxSockets, err)
	}
	return &Context{c}, nil
}

// maxSockets is libzmq's limit per context. A monitored socket takes three, and one context serves a whole process; the default, 1,023, is soon
// used up, and costs as much as the descriptors do, nothing until they are used.
const maxSockets = 16 << 10

// Wrap returns a Context on a context the caller owns, and will end.
func Wrap(c *zmq.Context) *Context { return &Context{c} }

// Term ends the context. It blocks while a socket of it is open or lingers.
func (c *Context) Term() error { return c.c.Term() }

// Socket is one ZeroMQ socket with the endpoints it holds. It belongs to one goroutine at a time.
type Socket struct {
	s      *zmq.Socket
	h      unsafe.Pointer // libzmq's handle; nil on the per-frame path
	kind   Kind
	locks  []*ipcLock       // of its ipc endpoints
	ports  []netip.AddrPort // of its tcp endpoints
	names  []string         // of its inproc endpoints
	mon    *zmq.Socket
	router int // 1 where messages start with a routing id
}

var types = [...]zmq.Type{
	Router: zmq.ROUTER, Dealer: zmq.DEALER, XPub: zmq.XPUB, XSub: zmq.XSUB, Pub: zmq.PUB, Sub: zmq.SUB,
	Push: zmq.PUSH, Pull: zmq.PULL, Pair: zmq.PAIR, Req: zmq.REQ, Rep: zmq.REP,
}

// Open makes a socket.
func (c *Context) Open(cfg Config) (*Socket, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	z, err := c.c.NewSocket(types[cfg.Kind])
	if err != nil {
		return nil, fmt.Errorf("zmqsock: no socket: %w (raise ZMQ_MAX_SOCKETS or `ulimit -n` if descriptors ran out)", err)
	}
	s := &Socket{s: z, kind: cfg.Kind}
	if cfg.Kind == Router {
		s.router = 1
	}
	if !cfg.PerFrame && layout == nil {
		s.h = handle(z)
	}
	if err := s.options(cfg); err != nil {
		_ = z.Close()
		return nil, err
	}
	return s, nil
}

func (s *Socket) options(cfg Config) error {
	z := s.s
	steps := []func() error{
		func() error { return z.SetLinger(cfg.Linger) },
		func() error { return z.SetMaxmsgsize(cfg.MaxMsgSize) },
		func() error { return z.SetSndhwm(cfg.SendHWM) },
		func() error { return z.SetRcvhwm(cfg.RecvHWM) },
		func() error { return z.SetReconnectIvl(20 * time.Millisecond) },
		func() error { return z.SetReconnectIvlMax(500 * time.Millisecond) },
		func() error { return z.SetHandshakeIvl(5 * time.Second) },
		func() error { return z.SetBacklog(1024) },
	}
	if cfg.Heartbeat > 0 {
		steps = append(steps,
			func() error { return z.SetHeartbeatIvl(cfg.Heartbeat) },
			func() error { return z.SetHeartbeatTimeout(max(cfg.HeartbeatTimeout, 0)) })
	}
	if cfg.Promise > 0 {
		steps = append(steps, func() error { return z.SetHeartbeatTtl(cfg.Promise) })
	}
	if cfg.Unreachable > 0 {
		steps = append(steps, s.keepalive(cfg.Unreachable)...)
	}
	if cfg.Identity != "" {
		steps = append(steps, func() error { return z.SetIdentity(cfg.Identity) })
	}
	if cfg.Kind == Router {
		steps = append(steps, func() error { return z.SetRouterMandatory(1) }, func() error { return z.SetRouterHandover(cfg.Handover) })
	}
	if cfg.Immediate {
		steps = append(steps, func() error { return z.SetImmediate(true) })
	}
	if cfg.Curve != nil {
		steps = append(steps, func() error { return s.encrypt(cfg.Curve) })
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("zmqsock: socket option: %w", err)
		}
	}
	return nil
}

// keepalive makes the kernel probe a silent connection at the end of each third of d, and bounds unacknowledged data by d.
func (s *Socket) keepalive(d time.Duration) []func() error {
	third := max(int(d/time.Second)/3, 1)
	return []func() error{
		func() error { return s.s.SetTcpKeepalive(1) },
		func() error { return s.s.SetTcpKeepaliveIdle(third) },
		func() error { return s.s.SetTcpKeepaliveIntvl(third) },
		func() error { return s.s.SetTcpKeepaliveCnt(2) },
		func() error { return s.s.SetTcpMaxrt(d) },
	}
}

// Batched reports whether the socket uses the batch shim.
func (s *Socket) Batched() bool { return s.h != nil }

// Kind returns the socket's type.
func (s *Socket) Kind() Kind { return s.kind }

// Close closes the socket and its monitor; its endpoints can be bound again at once. Messages still to be sent go on for Linger. Closing
// twice does nothing.
func (s *Socket) Close() error {
	if s.mon != nil {
		// First of all: libzmq's I/O thread waits for a receiver where there is none.
		_ = s.s.Monitor("", 0)
		_ = s.mon.Close()
		s.mon = nil
	}
	s.unname()
	err := s.s.Close()
	s.vacate()
	s.release()
	s.h = nil
	return err
}
