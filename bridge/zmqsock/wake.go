package zmqsock

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// Wake ends a Poller's wait from any goroutine (an eventfd).
type Wake struct {
	mu sync.Mutex // a late Wake must not write to whatever has the descriptor after Close
	fd int        // -1 once closed
}

// NewWake returns a wake-up; it must be closed.
func NewWake() (*Wake, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("zmqsock: no eventfd: %w", err)
	}
	return &Wake{fd: fd}, nil
}

var one = []byte{1, 0, 0, 0, 0, 0, 0, 0}

// Wake makes the current or next wait return at once; after Close it does nothing. It is safe for concurrent use.
func (w *Wake) Wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd >= 0 {
		_, _ = unix.Write(w.fd, one)
	}
}

// drain belongs to the poller's goroutine, as Close does.
func (w *Wake) drain() {
	var b [8]byte
	_, _ = unix.Read(w.fd, b[:])
}

// Close gives the descriptor back. It belongs to the goroutine that waits; closing twice does nothing.
func (w *Wake) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd < 0 {
		return nil
	}
	fd := w.fd
	w.fd = -1
	return unix.Close(fd)
}
