//go:build cgo

package zmqsock

import (
	"fmt"
	"sync/atomic"
	"syscall"

	zmq "github.com/pebbe/zmq4"
	"golang.org/x/sys/unix"
)

// EventKind says what happened to a connection.
type EventKind int

// The events a monitor reports.
const (
	Connected    EventKind = iota + 1 // the ZMTP handshake is done
	Disconnected                      // the connection is lost
	Refused                           // the handshake failed
)

// Event is one happening on a socket's connections.
type Event struct {
	Kind EventKind
	FD   int // descriptor of the connection; it may be reused after Disconnected
	Addr string
}

var monitors atomic.Uint64

const monitored = zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL |
	zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH

// Monitor begins to report the socket's connections through Events. It must be called before Bind or Connect, and Poller.Set after it.
func (c *Context) Monitor(s *Socket) error {
	addr := fmt.Sprintf("inproc://troupe-monitor-%d", monitors.Add(1))
	if err := s.s.Monitor(addr, monitored); err != nil {
		return fmt.Errorf("zmqsock: monitor: %w", err)
	}
	pair, err := c.c.NewSocket(zmq.PAIR)
	if err != nil {
		return fmt.Errorf("zmqsock: monitor socket: %w", err)
	}
	_ = pair.SetLinger(0)
	if err := pair.Connect(addr); err != nil {
		_ = pair.Close()
		return fmt.Errorf("zmqsock: monitor socket: %w", err)
	}
	s.mon = pair
	return nil
}

// Events appends what has happened since the last call, without waiting.
func (s *Socket) Events(into []Event) []Event {
	if s.mon == nil {
		return into
	}
	for {
		ev, addr, value, err := s.mon.RecvEvent(zmq.DONTWAIT)
		if err != nil {
			return into
		}
		kind := Refused
		switch ev {
		case zmq.EVENT_HANDSHAKE_SUCCEEDED:
			kind = Connected
		case zmq.EVENT_DISCONNECTED:
			kind = Disconnected
		}
		into = append(into, Event{kind, value, addr})
	}
}

// Hangup ends a connection by its descriptor: libzmq has no call for that on a ROUTER. The descriptor stays libzmq's, which sees the end of
// the stream and closes it. The caller makes sure that the descriptor is still that peer's.
func Hangup(fd int) error {
	if err := unix.Shutdown(fd, unix.SHUT_RDWR); err != nil && err != syscall.ENOTCONN {
		return fmt.Errorf("zmqsock: hang up descriptor %d: %w", fd, err)
	}
	return nil
}
