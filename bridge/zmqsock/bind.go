//go:build cgo

package zmqsock

import (
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Bind binds an endpoint and returns it as it can be connected to (with the port or path that was chosen).
func (s *Socket) Bind(ep string) (string, error) {
	if err := CheckEndpoint("bind", ep); err != nil {
		return "", err
	}
	at, err := s.bind(ep)
	if err != nil {
		return "", &EndpointError{"bind", ep, err, remedy(ep, err)}
	}
	return at, nil
}

func (s *Socket) bind(ep string) (string, error) {
	if err := s.allowIPv6(ep); err != nil {
		return "", err
	}
	var lock *ipcLock
	if path, ok := strings.CutPrefix(ep, "ipc://"); ok && path[0] != '@' && path != "*" {
		var err error
		if lock, err = lockIPC(path); err != nil {
			return "", err
		}
	}
	zep := ep
	if host, zero := strings.CutSuffix(ep, ":0"); zero && strings.HasPrefix(ep, "tcp://") {
		zep = host + ":*"
	}
	if err := s.s.Bind(zep); err != nil {
		if lock != nil {
			lock.release()
		}
		return "", cause(err)
	}
	if lock != nil {
		s.locks = append(s.locks, lock)
	}
	last, err := s.s.GetLastEndpoint()
	if err != nil {
		return ep, nil
	}
	last = strings.TrimRight(last, "\x00")
	if at, ok := strings.CutPrefix(last, "tcp://"); ok {
		if port, err := netip.ParseAddrPort(at); err == nil {
			s.ports = append(s.ports, port)
		}
		return last, nil
	}
	if ep == "ipc://*" {
		return last, nil
	}
	if strings.HasPrefix(ep, "inproc://") {
		s.names = append(s.names, ep)
	}
	return ep, nil
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
		return &EndpointError{"connect", ep, err, remedy(ep, err)}
	}
	return nil
}

// allowIPv6 turns IPv6 on for endpoints that name such an address; with it, libzmq would resolve names to IPv6 first.
func (s *Socket) allowIPv6(ep string) error {
	return s.s.SetIpv6(strings.HasPrefix(ep, "tcp://["))
}

// unname gives up the inproc names of a socket that is about to be closed: libzmq would do so in the background. Connections are not touched.
func (s *Socket) unname() {
	for _, ep := range s.names {
		_ = s.s.Unbind(ep)
	}
	s.names = nil
}

// vacate waits until nobody listens on the tcp endpoints of a closed socket: libzmq closes listeners in the background, and a broker that is
// started again at once would find its own port in use. (Unbinding before would throw the last words away.)
func (s *Socket) vacate() {
	const limit = time.Second // somebody else may have the port by now
	for until := time.Now().Add(limit); len(s.ports) > 0 && time.Now().Before(until); {
		if !vacantPort(s.ports[0]) {
			time.Sleep(50 * time.Microsecond)
			continue
		}
		s.ports = s.ports[1:]
	}
	s.ports = nil
}

// vacantPort reports whether a listener could have the address. Nobody else is kept from it: a socket that does not listen is in nobody's way.
func vacantPort(at netip.AddrPort) bool {
	family := unix.AF_INET6
	var sa unix.Sockaddr = &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	if at.Addr().Is4() {
		family, sa = unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return true // it cannot be known
	}
	defer func() { _ = unix.Close(fd) }()
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	return unix.Bind(fd, sa) != unix.EADDRINUSE
}

// release gives up the paths of ipc endpoints.
func (s *Socket) release() {
	for _, lock := range s.locks {
		lock.free()
		lock.release()
	}
	s.locks = nil
}
