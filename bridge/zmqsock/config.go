package zmqsock

import (
	"errors"
	"fmt"
	"time"
)

// Kind is the type of a socket.
type Kind int

// The kinds of sockets. Router and Dealer carry HIT/1; the others are those of the classic patterns, and of the plain peers in their tests.
const (
	Router Kind = iota + 1
	Dealer
	XPub
	XSub
	Pub
	Sub
	Push
	Pull
	Pair
	Req
	Rep
)

// Config says how a socket is made. Its zero values are the documented defaults.
type Config struct {
	Kind Kind
	// Linger bounds how long a closing socket may go on sending; default 200 ms, enough for last words on a live connection.
	Linger time.Duration
	// MaxMsgSize is the highest length of one frame in bytes; a peer that sends a longer one is disconnected by libzmq.
	// Default 64 MiB.
	MaxMsgSize int64
	// SendHWM counts whole messages per peer; default 0, no limit by count: the byte windows of package bridge bound a peer,
	// and a count would refuse small messages long before.
	SendHWM int
	// RecvHWM counts whole messages per peer; default 1000: beyond it libzmq stops reading the connection. Negative: no limit, for a
	// socket with heartbeats whose peer bounds what it sends in another way: libzmq 4.3.4 aborts the process when a heartbeat falls due on a connection
	// that broke while it was not being read.
	RecvHWM int
	// Heartbeat is the interval of ZMTP PINGs (ZMQ_HEARTBEAT_IVL), answered by the peer's I/O thread. Default 1 s, negative: off.
	Heartbeat time.Duration
	// HeartbeatTimeout is how long a silent connection lives on; default 3 s, negative: for ever.
	HeartbeatTimeout time.Duration
	// Promise asks the peer to give this connection up when nothing has come from here for so long (ZMQ_HEARTBEAT_TTL); zero asks for nothing.
	Promise time.Duration
	// Unreachable is how long the tcp connection to a host that has gone lives on, found by the kernel (keepalive and user timeout, in
	// whole seconds). Default: the system's own limits, hours. Unlike heartbeats it does not notice a stopped process.
	Unreachable time.Duration
	// Identity is the socket's own routing id, at most 255 bytes; only for peers of plain endpoints.
	Identity string
	// Handover lets a new connection take the routing id of a living one; Router only. Default: the newer one is ignored.
	Handover bool
	// Immediate queues messages only for connections that are made, not for endpoints where nobody may ever be (ZMQ_IMMEDIATE).
	Immediate bool
	// Curve encrypts the socket's connections; nil: plain ones.
	Curve *Curve
	// PerFrame chooses the binding's per-frame calls instead of the batch shim. Slow; for comparison and as a fallback.
	PerFrame bool
}

// Validate reports the first field that cannot be used.
func (c *Config) Validate() error {
	switch {
	case c.Kind < Router || c.Kind > Rep:
		return fmt.Errorf("zmqsock: Kind is %d: use one of the constants, from Router to Rep", c.Kind)
	case c.Unreachable < 0:
		return errors.New("zmqsock: Unreachable is negative: use zero for the system's own limits")
	case c.Linger < 0:
		return errors.New("zmqsock: Linger is negative: an endless linger would keep the program from ending")
	case c.MaxMsgSize < 0 || c.SendHWM < 0 || c.Promise < 0:
		return fmt.Errorf("zmqsock: MaxMsgSize %d, SendHWM %d, Promise %v: none may be negative", c.MaxMsgSize, c.SendHWM, c.Promise)
	case len(c.Identity) > 255 || (c.Identity != "" && c.Identity[0] == 0):
		return fmt.Errorf("zmqsock: Identity %q: 1 to 255 bytes, the first not zero", c.Identity)
	case c.Heartbeat > 0 && c.HeartbeatTimeout > 0 && c.HeartbeatTimeout < c.Heartbeat:
		return fmt.Errorf("zmqsock: HeartbeatTimeout %v is below Heartbeat %v: every connection would die", c.HeartbeatTimeout, c.Heartbeat)
	}
	if c.Curve != nil {
		return c.Curve.validate(c.Kind)
	}
	return nil
}

func (c Config) withDefaults() Config {
	or := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	or(&c.Linger, 200*time.Millisecond)
	or(&c.Heartbeat, time.Second)
	or(&c.HeartbeatTimeout, 3*time.Second)
	if c.MaxMsgSize == 0 {
		c.MaxMsgSize = 64 << 20
	}
	switch {
	case c.RecvHWM == 0:
		c.RecvHWM = 1000
	case c.RecvHWM < 0:
		c.RecvHWM = 0 // libzmq's word for no limit
	}
	return c
}
