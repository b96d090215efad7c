//go:build cgo

package zmqsock

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ipcLock guards an ipc path while it is bound: libzmq's bind unlinks whatever is there, so that without it a second
// broker would silently take a living one's path.
type ipcLock struct {
	f    *os.File
	path string
}

func lockIPC(path string) (*ipcLock, error) {
	name := path + ".lock"
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, syscall.EADDRINUSE
	}
	return &ipcLock{f, name}, nil
}

// release gives the path up. The lock file goes first, while it is still locked, so that nobody locks a file that is leaving.
func (l *ipcLock) release() {
	_ = os.Remove(l.path)
	_ = l.f.Close()
}
