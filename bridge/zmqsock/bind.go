//go:build cgo

package zmqsock

import (
	"strings"
	"time"

	zmq "github.com/pebbe/zmq4"
)

// binding is one bound endpoint of a socket.
type binding struct {
	addr string   // as libzmq knows it
	lock *ipcLock // of an ipc path, else nil
}

// Bind binds an endpoint and returns it as it can be connected to (with the port or path that was chosen).
func (s *Socket) Bind(ep string) (string, error) {
	if err := CheckEndpoint("bind", ep); err != nil {
		return "", err
	}
	b, err := s.bind(ep)
	if err != nil {
		return "", &EndpointError{"bind", ep, err, remedy(err)}
	}
	s.bound = append(s.bound, b)
	if strings.HasPrefix(ep, "tcp://") || ep == "ipc://*" {
		return b.addr, nil
	}
	return ep, nil
}

func (s *Socket) bind(ep string) (binding, error) {
	var b binding
	if err := s.allowIPv6(ep); err != nil {
		return b, err
	}
	if path, ok := strings.CutPrefix(ep, "ipc://"); ok && path[0] != '@' && path != "*" {
		lock, err := lockIPC(path)
		if err != nil {
			return b, err
		}
		b.lock = lock
	}
	if host, zero := strings.CutSuffix(ep, ":0"); zero && strings.HasPrefix(ep, "tcp://") {
		ep = host + ":*"
	}
	if err := s.s.Bind(ep); err != nil {
		if b.lock != nil {
			b.lock.release()
		}
		return b, cause(err)
	}
	b.addr = ep
	if last, err := s.s.GetLastEndpoint(); err == nil {
		b.addr = strings.TrimRight(last, "\x00")
	}
	return b, nil
}

// Connect connects to an endpoint; the connection itself is made, and made again, in the background.
func (s *Socket) Connect(ep string) error {
	if err := CheckEndpoint("connect", ep); err != nil {
		return err
	}
	err := s.allowIPv6(ep)
	if err == nil {
		err = s.s.Connect(ep)
	}
	if err != nil {
		err = cause(err)
		return &EndpointError{"connect", ep, err, remedy(err)}
	}
	return nil
}

// allowIPv6 turns IPv6 on for endpoints that name such an address; with it, libzmq would resolve names to IPv6 first.
func (s *Socket) allowIPv6(ep string) error {
	return s.s.SetIpv6(strings.HasPrefix(ep, "tcp://["))
}

// unbind gives all endpoints up and, where a monitor can tell, waits until nobody listens on them any more: libzmq closes listeners
// in the background, and a broker that is started again at once would find its own port in use.
func (s *Socket) unbind() {
	waiting := 0
	for _, b := range s.bound {
		if err := s.s.Unbind(b.addr); err == nil && !strings.HasPrefix(b.addr, "inproc://") {
			waiting++
		}
	}
	if s.mon != nil && waiting > 0 && s.mon.SetRcvtimeo(time.Second) == nil {
		for waiting > 0 {
			ev, _, _, err := s.mon.RecvEvent(0)
			if err != nil {
				break
			}
			if ev == zmq.EVENT_CLOSED {
				waiting--
			}
		}
	}
	for _, b := range s.bound {
		if b.lock != nil {
			b.lock.free()
			b.lock.release()
		}
	}
	s.bound = nil
}
