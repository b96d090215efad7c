package host

import (
	"os"
	"syscall"
)

func threadID() int { return syscall.Gettid() }

func isMainThread() bool { return syscall.Gettid() == syscall.Getpid() }

// nameThread names the calling thread for ps and top, and returns a function that takes the name back. A name is a
// convenience: where /proc is not there to be written, the thread goes without.
func nameThread(name string) (restore func()) {
	const path = "/proc/thread-self/comm"
	if name == "" {
		return func() {}
	}
	old, err := os.ReadFile(path)
	if err != nil || os.WriteFile(path, []byte(name), 0) != nil {
		return func() {}
	}
	return func() { _ = os.WriteFile(path, old, 0) }
}
