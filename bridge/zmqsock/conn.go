package zmqsock

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Conn names one connection of a ROUTER. Descriptors are used again as soon as libzmq has closed them; the kernel's cookie of a socket never is. The
// zero value is no connection.
type Conn struct {
	FD     int
	cookie uint64
}

// ErrOtherConn says that a descriptor means another connection by now.
var ErrOtherConn = errors.New("zmqsock: the descriptor belongs to another connection by now")

// Identify returns the connection that a descriptor means at this moment, or the zero value if it is no socket.
func Identify(fd int) Conn {
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	if fd < 0 || err != nil {
		return Conn{}
	}
	return Conn{fd, cookie}
}

// Known reports whether c is a connection.
func (c Conn) Known() bool { return c.cookie != 0 }

// Hangup ends the connection: libzmq has no call for that on a ROUTER. The descriptor stays libzmq's, which sees the end of the stream
// and closes it. If it means another connection by now, nothing happens and the error is ErrOtherConn.
func (c Conn) Hangup() error {
	// The duplicate means one connection for good, whatever becomes of the original meanwhile.
	fd, err := unix.FcntlInt(uintptr(c.FD), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil || !c.Known() {
		return fmt.Errorf("zmqsock: hang up descriptor %d: %w", c.FD, errors.Join(ErrOtherConn, err))
	}
	defer func() { _ = unix.Close(fd) }()
	if Identify(fd).cookie != c.cookie {
		return ErrOtherConn
	}
	if err := unix.Shutdown(fd, unix.SHUT_RDWR); err != nil && err != unix.ENOTCONN {
		return fmt.Errorf("zmqsock: hang up descriptor %d: %w", c.FD, err)
	}
	return nil
}

// Hangup ends whatever connection a descriptor means at this moment. The caller makes sure that it is the right one.
func Hangup(fd int) error { return Identify(fd).Hangup() }
