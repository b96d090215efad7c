package station

import (
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// Spec says how a port is opened.
type Spec struct {
	zmqsock.Config
	Bind, Connect []string
	// Hear takes message i of a batch. Its bytes are the batch's, until the Turn that follows has returned. Nil: nothing is received.
	Hear func(in *zmqsock.In, i int)
	// Relay takes what waits itself, in place of Hear, and returns how much that was; it may use the batch.
	Relay func(in *zmqsock.In) (int, error)
	// Notice takes what happens to connections; nil: nobody asks.
	Notice func(zmqsock.Event)
	// FDs asks for the descriptors of messages (zmqsock.Meta).
	FDs bool
}

// Port is one socket of a station with what it is for.
type Port struct {
	// Sock is for Out.Add and for Subscribe.
	Sock  *zmqsock.Socket
	addrs []string
	spec  Spec
	off   bool
}

// Addrs returns the endpoints bound, with the ports that were chosen.
func (p *Port) Addrs() []string { return append([]string(nil), p.addrs...) }

// Open opens a socket, binds and connects it. It is called before Run, or on the station's goroutine. A port that binds and connects is encrypted as one that
// binds where there are Keys.
func (s *Station) Open(spec Spec) (*Port, error) {
	cfg := spec.Config
	cfg.Heartbeat = -1 // libzmq 4.3.4 can be made to abort by them where connections are not read all the time (docs/bridge.md); the kernel's do as well
	if cfg.Unreachable == 0 {
		cfg.Unreachable = s.cfg.Unreachable
	}
	cfg.Curve = s.door.curve()
	if len(spec.Bind) == 0 {
		var err error
		if cfg.Curve, err = s.cfg.Access.knock(); err != nil {
			return nil, err
		}
	}
	sock, err := s.ctx.Open(cfg)
	if err != nil {
		return nil, err
	}
	p := &Port{Sock: sock, spec: spec}
	if err := p.attach(s.ctx); err != nil {
		_ = sock.Close()
		return nil, err
	}
	s.ports = append(s.ports, p)
	return p, s.repoll()
}

func (p *Port) attach(ctx *zmqsock.Context) error {
	if p.spec.Notice != nil {
		if err := ctx.Monitor(p.Sock); err != nil {
			return err
		}
	}
	for _, ep := range p.spec.Bind {
		at, err := p.Sock.Bind(ep)
		if err != nil {
			return err
		}
		p.addrs = append(p.addrs, at)
	}
	for _, ep := range p.spec.Connect {
		if err := p.Sock.Connect(ep); err != nil {
			return err
		}
	}
	return nil
}

// Shut closes a port's socket. It belongs to the station's goroutine; in Hear the rest of the batch still comes.
func (s *Station) Shut(p *Port) {
	for i, other := range s.ports {
		if other == p {
			s.ports = append(s.ports[:i:i], s.ports[i+1:]...)
			p.off = true
			if err := s.repoll(); err != nil {
				s.cfg.Logger.Error("a socket cannot be waited for", "error", err)
			}
			_ = p.Sock.Close()
			return
		}
	}
}

// Hold stops or resumes receiving from a port: what comes meanwhile waits in libzmq and, when that is full, at the other end.
func (s *Station) Hold(p *Port, off bool) {
	if p.off == off {
		return
	}
	p.off = off
	if err := s.repoll(); err != nil {
		s.cfg.Logger.Error("a socket cannot be waited for", "error", err)
	}
}

// repoll waits for the ports that are received from or sent to.
func (s *Station) repoll() error {
	socks := make([]*zmqsock.Socket, 0, len(s.ports))
	for _, p := range s.ports {
		if !p.off {
			socks = append(socks, p.Sock)
		}
	}
	return s.poll.Set(socks)
}
