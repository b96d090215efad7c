//go:build cgo

package zmqsock

import zmq "github.com/pebbe/zmq4"

// Failure is why a handshake failed, as far as libzmq says.
type Failure int

// The failures of handshakes.
const (
	Unexplained    Failure = iota + 1 // the other end closed without a word; to a client with CURVE: most likely the server has another key
	KeyRefused                        // the server does not know the client's key
	OtherMechanism                    // one end encrypts and the other does not
	WrongServerKey                    // at a server: the client expects another server key, or was tampered with
	Malformed                         // the other end speaks something else, or was cut off
)

var failureNames = [...]string{"", "unexplained", "key-refused", "other-mechanism", "wrong-server-key", "malformed"}

// String returns the failure in one word.
func (f Failure) String() string {
	if f < 0 || int(f) >= len(failureNames) {
		return "failure"
	}
	return failureNames[f]
}

// Failures is the number of failures known, for tables.
const Failures = len(failureNames)

// ZMQ_PROTOCOL_ERROR_ZMTP_*
const (
	cryptographic     = 0x11000001
	mechanismMismatch = 0x11000002
)

func failureOf(ev zmq.Event, value int) Failure {
	switch {
	case ev == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
		return KeyRefused
	case ev == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
		return Unexplained
	case value == mechanismMismatch:
		return OtherMechanism
	case value == cryptographic:
		return WrongServerKey
	}
	return Malformed
}
