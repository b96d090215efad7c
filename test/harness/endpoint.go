package harness

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
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

// freePort finds a port below those that the system gives to outgoing connections, so that it stays free between a close and the next bind.
func freePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 12000 + rand.IntN(20000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no free port between 12000 and 32000")
	return 0
}
