package zmqsock

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Backlog is how far a connection's other end is behind.
type Backlog struct {
	Waiting int    // bytes that were given to the kernel and not taken by the other end yet
	Taken   uint64 // bytes that the other end's kernel has acknowledged since the connection was made; 0 for ipc, where nobody counts them
}

// Backlog asks the kernel. It reports false where there is no such connection (any more). Two equal answers some time apart, with Waiting above zero, mean
// that the other end reads nothing.
func (c Conn) Backlog() (Backlog, bool) {
	if !c.Known() || Identify(c.FD).cookie != c.cookie {
		return Backlog{}, false
	}
	n, err := unix.IoctlGetInt(c.FD, unix.TIOCOUTQ)
	if err != nil {
		return Backlog{}, false
	}
	b := Backlog{Waiting: n}
	if info, err := unix.GetsockoptTCPInfo(c.FD, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
		b.Taken = info.Bytes_acked
	}
	return b, true
}

// Peer returns who is at the other end, for people: an address for tcp, a process for ipc, empty where it cannot be known.
func (c Conn) Peer() string {
	if sa, err := unix.Getpeername(c.FD); err == nil {
		switch sa := sa.(type) {
		case *unix.SockaddrInet4:
			return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)).String()
		case *unix.SockaddrInet6:
			return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port)).String()
		}
	}
	if cred, err := unix.GetsockoptUcred(c.FD, unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil && cred.Pid > 0 {
		return fmt.Sprintf("process %d", cred.Pid)
	}
	return ""
}
