//go:build cgo

package zmqsock

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// nest is an epoll instance that Go's own poller waits for: a goroutine that sleeps so gives its thread back first, in place of keeping it in a system call until the runtime takes its
// processor away.
type nest struct {
	file *os.File
	raw  syscall.RawConn
	ev   [8]unix.EpollEvent
}

func newNest(fds []unix.PollFd) (*nest, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("zmqsock: no epoll: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // or os.NewFile takes it for one that Go's poller cannot wait for
		return nil, errors.Join(fmt.Errorf("zmqsock: epoll: %w", err), unix.Close(fd))
	}
	n := &nest{file: os.NewFile(uintptr(fd), "zmqsock.Poller")}
	if n.raw, err = n.file.SyscallConn(); err != nil {
		return nil, errors.Join(err, n.file.Close())
	}
	for _, f := range fds {
		if err := unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, int(f.Fd), &unix.EpollEvent{Events: unix.EPOLLIN, Fd: f.Fd}); err != nil {
			return nil, errors.Join(fmt.Errorf("zmqsock: epoll: %w", err), n.file.Close())
		}
	}
	return n, nil
}

// wait marks the descriptors that are ready. It returns early when one is, and at once when d is 0; negative: for ever.
func (n *nest) wait(fds []unix.PollFd, d time.Duration) error {
	until := time.Time{}
	if d >= 0 {
		until = time.Now().Add(d)
	}
	if err := n.file.SetReadDeadline(until); err != nil {
		return fmt.Errorf("zmqsock: epoll: %w", err)
	}
	ready, failed := 0, error(nil)
	err := n.raw.Read(func(fd uintptr) bool {
		for {
			if ready, failed = unix.EpollWait(int(fd), n.ev[:], 0); !errors.Is(failed, syscall.EINTR) {
				break
			}
		}
		return ready > 0 || failed != nil
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	if err = errors.Join(err, failed); err != nil {
		return fmt.Errorf("zmqsock: epoll: %w", err)
	}
	for _, e := range n.ev[:ready] { // those beyond the first eight are still ready at the next wait
		for i := range fds {
			if fds[i].Fd == e.Fd {
				fds[i].Revents = int16(e.Events)
			}
		}
	}
	return nil
}

func (n *nest) close() error { return n.file.Close() }
