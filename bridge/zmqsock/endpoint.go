//go:build cgo

package zmqsock

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"

	zmq "github.com/pebbe/zmq4"
)

// EndpointError says why an endpoint cannot be used; its text ends with the remedy.
type EndpointError struct {
	Op       string // bind or connect
	Endpoint string
	Err      error // the cause; errors.Is finds syscall.EADDRINUSE, syscall.EACCES and their like
	Remedy   string
}

// Error returns what, why and what to do.
func (e *EndpointError) Error() string {
	return fmt.Sprintf("cannot %s %s: %v: %s", e.Op, e.Endpoint, e.Err, e.Remedy)
}

// Unwrap returns the cause.
func (e *EndpointError) Unwrap() error { return e.Err }

// ErrBadEndpoint is the cause in an EndpointError for a text that is no endpoint.
var ErrBadEndpoint = errors.New("not a ZeroMQ endpoint")

// ErrInsecure is the cause in an EndpointError for an endpoint that is not Local, where nothing is encrypted and nobody has insisted.
var ErrInsecure = errors.New("other machines can reach it, and nothing is encrypted")

const maxIPCPath = 107 // sockaddr_un

// CheckEndpoint judges the form of an endpoint, without touching the network. The error is an *EndpointError.
func CheckEndpoint(op, ep string) error {
	fail := func(remedy string) error { return &EndpointError{op, ep, ErrBadEndpoint, remedy} }
	scheme, rest, ok := strings.Cut(ep, "://")
	if !ok || rest == "" {
		return fail("write it as tcp://127.0.0.1:5700, ipc:///run/user/troupe.sock or inproc://name")
	}
	switch scheme {
	case "inproc":
		return nil
	case "ipc":
		if rest == "*" && op != "bind" {
			return fail("only a bind may leave the path to the system: name the path")
		}
		if len(rest) > maxIPCPath {
			return fail(fmt.Sprintf("the path has %d bytes, a Unix socket's at most %d: use a shorter one", len(rest), maxIPCPath))
		}
		return nil
	case "tcp":
		return checkTCP(op, rest, fail)
	}
	return fail(fmt.Sprintf("the transport %q is not supported: use tcp, ipc or inproc", scheme))
}

func checkTCP(op, rest string, fail func(string) error) error {
	host, port, err := net.SplitHostPort(rest)
	if err != nil || host == "" {
		return fail("write tcp endpoints as tcp://HOST:PORT, as in tcp://127.0.0.1:5700")
	}
	if port == "*" && op == "bind" {
		return nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || (n == 0 && op != "bind") {
		return fail(fmt.Sprintf("the port %q is not a number from 1 to 65535 (0 or * lets a bind choose)", port))
	}
	return nil
}

// Local reports whether an endpoint can be reached from this machine only: ipc, inproc, or tcp on a loopback address.
func Local(ep string) bool {
	rest, ok := strings.CutPrefix(ep, "tcp://")
	if !ok {
		return true
	}
	host, _, err := net.SplitHostPort(rest)
	if err != nil {
		return false
	}
	if host == "localhost" || host == "lo" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// cause turns the binding's error numbers into syscall.Errno where they are the system's.
func cause(err error) error {
	const ownErrnos = zmq.Errno(156384712) // ZMQ_HAUSNUMERO: libzmq's own begin here
	var e zmq.Errno
	if errors.As(err, &e) && e < ownErrnos {
		return syscall.Errno(e)
	}
	return err
}

func remedy(ep string, err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE) && strings.HasPrefix(ep, "inproc://"):
		return "another socket of this process holds the name: choose another one"
	case errors.Is(err, syscall.EADDRINUSE):
		return "another process holds it: stop that one (`ss -ltnp` or `ss -lxp` shows it) or choose another endpoint"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return "this user has no right to it: choose a port above 1023, or a path in a folder that is yours"
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.ENODEV):
		return "no interface of this machine has that address: use one that `ip addr` shows"
	case errors.Is(err, syscall.ENOENT):
		return "the folder does not exist: create it first"
	case errors.Is(err, ErrNotSocket):
		return "binding would delete it: choose another path, or remove it yourself"
	case errors.Is(err, syscall.EMFILE):
		return "no descriptors are left: raise `ulimit -n`"
	}
	return "check the address and try another one"
}
