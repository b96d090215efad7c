//go:build cgo

package zmqsock

import zmq "github.com/pebbe/zmq4"

// SecretKey returns the CURVE secret key that 32 bytes are, in Z85.
func SecretKey(seed [32]byte) string { return zmq.Z85encode(string(seed[:])) }
