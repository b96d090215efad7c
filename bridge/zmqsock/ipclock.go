//go:build cgo

package zmqsock

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ipcLock guards an ipc path while it is bound: libzmq's bind unlinks whatever is there, so that without it a second
// broker would silently take a living one's path.
type ipcLock struct {
	f    *os.File
	path string // of the socket
}

// ErrNotSocket is the cause in an EndpointError for an ipc path where something else than a socket lies.
var ErrNotSocket = errors.New("what lies there is no socket")

func lockIPC(path string) (*ipcLock, error) {
	for {
		l, err := tryLock(path)
		if err != nil || l == nil {
			if err != nil {
				return nil, err
			}
			continue
		}
		if err := vacant(path); err != nil {
			l.release()
			return nil, err
		}
		return l, nil
	}
}

// tryLock locks the lock file. It returns nil where the file was given up by its owner between opening and locking it.
func tryLock(path string) (*ipcLock, error) {
	name := path + ".lock"
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if err == unix.EWOULDBLOCK {
			return nil, syscall.EADDRINUSE
		}
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	mine, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	if there, err := os.Stat(name); err != nil || !os.SameFile(mine, there) {
		_ = f.Close()
		return nil, nil
	}
	return &ipcLock{f, path}, nil
}

// vacant reports why a path cannot be bound: a file of somebody's, which libzmq would delete, or a socket that somebody without a lock listens on.
func vacant(path string) error {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.Mode()&fs.ModeSocket == 0 {
		return ErrNotSocket
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	// EAGAIN: somebody listens and is behind with accepting.
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err == nil || err == unix.EAGAIN {
		return syscall.EADDRINUSE
	}
	return nil
}

// free removes the socket's file, which libzmq leaves behind. It must no longer be listened on.
func (l *ipcLock) free() { _ = os.Remove(l.path) }

// release gives the path up. The lock file goes first, while it is still locked; who has opened it before sees that it is gone.
func (l *ipcLock) release() {
	_ = os.Remove(l.path + ".lock")
	_ = l.f.Close()
}
