//go:build cgo

package zmqsock

import (
	"fmt"
	"sync/atomic"

	zmq "github.com/pebbe/zmq4"
)

// EventKind says what happened to a connection.
type EventKind int

// The events a monitor reports.
const (
	Connected    EventKind = iota + 1 // a connection is made, the ZMTP handshake comes next
	Disconnected                      // the connection is lost
	Refused                           // the handshake failed
	Established                       // the handshake is done; libzmq names no descriptor with it
	Retrying                          // of a DEALER: a connection is lost or was refused, and another one will be tried
)

// Event is one happening on a socket's connections.
type Event struct {
	Kind EventKind
	FD   int // descriptor of the connection, -1 if unknown; it may be reused after Disconnected
	Addr string
	// Failure says why a handshake was Refused.
	Failure Failure
}

var monitors atomic.Uint64

var kindOf = map[zmq.Event]EventKind{
	zmq.EVENT_ACCEPTED: Connected, zmq.EVENT_CONNECTED: Connected, zmq.EVENT_DISCONNECTED: Disconnected, zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: Refused,
	zmq.EVENT_HANDSHAKE_SUCCEEDED: Established, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: Refused, zmq.EVENT_HANDSHAKE_FAILED_AUTH: Refused,
	zmq.EVENT_CONNECT_RETRIED: Retrying,
}

// monitored are the events to ask for.
func monitored() (all zmq.Event) {
	for ev := range kindOf {
		all |= ev
	}
	return all
}

// Monitor begins to report the socket's connections through Events. It must be called before Bind or Connect, and Poller.Set after it.
func (c *Context) Monitor(s *Socket) error {
	pair, err := c.c.NewSocket(zmq.PAIR)
	if err != nil {
		return fmt.Errorf("zmqsock: monitor socket: %w (raise `ulimit -n` if descriptors ran out)", err)
	}
	addr := fmt.Sprintf("inproc://troupe-monitor-%d", monitors.Add(1))
	// The receiver comes first, and without a limit: libzmq's I/O thread waits for a receiver and for room, with a lock held that Close needs.
	for _, step := range []func() error{
		func() error { return pair.SetLinger(0) },
		func() error { return pair.SetRcvhwm(0) },
		func() error { return pair.Connect(addr) },
		func() error { return s.s.Monitor(addr, monitored()) },
	} {
		if err := step(); err != nil {
			_ = pair.Close()
			return fmt.Errorf("zmqsock: monitor: %w", err)
		}
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
		kind, failure := kindOf[ev], Failure(0)
		if kind == Refused {
			failure = failureOf(ev, value)
		}
		if kind != Connected && kind != Disconnected {
			value = -1 // an error number, a pause, or nothing
		}
		if kind != 0 {
			into = append(into, Event{kind, value, addr, failure})
		}
	}
}
