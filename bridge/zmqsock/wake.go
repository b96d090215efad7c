package zmqsock

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Wake ends a Poller's wait from any goroutine (an eventfd).
type Wake struct{ fd int }

// NewWake returns a wake-up; it must be closed.
func NewWake() (*Wake, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("zmqsock: no eventfd: %w", err)
	}
	return &Wake{fd}, nil
}

var one = []byte{1, 0, 0, 0, 0, 0, 0, 0}

// Wake makes the current or next wait return at once. It is safe for concurrent use.
func (w *Wake) Wake() { _, _ = unix.Write(w.fd, one) }

func (w *Wake) drain() {
	var b [8]byte
	_, _ = unix.Read(w.fd, b[:])
}

// Close gives the descriptor back. No Wake may be under way.
func (w *Wake) Close() error { return unix.Close(w.fd) }
