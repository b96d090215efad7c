package harness

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
)

var inprocs atomic.Uint64

// Endpoint returns an endpoint of a transport (tcp where empty, ipc or inproc) that nobody uses, and that can be bound, closed and bound again.
func Endpoint(t testing.TB, transport string) string {
	t.Helper()
	switch transport {
	case "inproc":
		return fmt.Sprintf("inproc://harness-%d", inprocs.Add(1))
	case "ipc":
		dir, err := os.MkdirTemp("", "troupe") //nolint:usetesting // t.TempDir's names are too long for a Unix socket
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		return "ipc://" + filepath.Join(dir, "s")
	case "", "tcp":
		return fmt.Sprintf("tcp://127.0.0.1:%d", freePort(t))
	}
	t.Fatalf("there is no transport %q: use tcp, ipc or inproc", transport)
	return ""
}

// freePort finds a port below those that the system gives to outgoing connections, and keeps it for the test: no other test of any process that asks this
// function gets it, though nobody may be bound to it for a while.
func freePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 12000 + rand.IntN(20000)
		if !claim(t, port) {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no free port between 12000 and 32000")
	return 0
}

// claim locks a file that stands for a port until the test ends, and reports whether nobody else had.
func claim(t testing.TB, port int) bool {
	t.Helper()
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("troupe-ports-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(port)), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		_ = f.Close()
		return false
	}
	t.Cleanup(func() { _ = f.Close() })
	return true
}
