package zmqsock

import (
	"time"

	"golang.org/x/sys/unix"
)

// Silence is what the kernel knows of a connection's peer, without a message sent and without libzmq's reading anything.
type Silence struct {
	// For is how long ago the kernel took in the last bytes of the peer, be they a message, a ZMTP heartbeat or the answer to one; in steps of some
	// ms. Only with Remembers.
	For time.Duration
	// Remembers is true for tcp. A Unix socket keeps no times: there, Untaken is what the peer has not taken out of it, which its ZeroMQ thread does at once
	// while its process runs.
	Remembers bool
	Untaken   int // bytes
}

// Silence asks the kernel. It reports false where there is no such connection (any more), or nothing is known.
func (c Conn) Silence() (Silence, bool) {
	if !c.Known() || Identify(c.FD).cookie != c.cookie {
		return Silence{}, false
	}
	if info, err := unix.GetsockoptTCPInfo(c.FD, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
		// What has come and was not taken out yet is our own thread's delay, not the peer's silence: when the buffer is full, nothing more can come.
		if n, err := unix.IoctlGetInt(c.FD, unix.TIOCINQ); err == nil && n > 0 {
			return Silence{Remembers: true}, true
		}
		return Silence{For: time.Duration(info.Last_data_recv) * time.Millisecond, Remembers: true}, true
	}
	n, err := unix.IoctlGetInt(c.FD, unix.TIOCOUTQ)
	return Silence{Untaken: n}, err == nil
}
