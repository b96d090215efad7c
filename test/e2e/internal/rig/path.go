package rig

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// Path is one way from a client to a worker.
type Path struct {
	Transport string // tcp, ipc or inproc
	PerFrame  bool   // everybody uses the binding's per-frame calls instead of the batch shim
}

// String names the path in the names of tests.
func (p Path) String() string {
	if p.PerFrame {
		return p.Transport + "-frames"
	}
	return p.Transport + "-batch"
}

// TCP is the path that tests of one path use.
var TCP = Path{Transport: "tcp"}

// EachPath runs a test on every transport, batched and frame by frame.
func EachPath(t *testing.T, test func(t *testing.T, p Path)) {
	for _, transport := range []string{"tcp", "ipc", "inproc"} {
		for _, perFrame := range []bool{false, true} {
			p := Path{transport, perFrame}
			t.Run(p.String(), func(t *testing.T) { test(t, p) })
		}
	}
}

var inprocs atomic.Uint64

// Endpoint returns an endpoint that nobody uses and that can be bound, closed and bound again.
func (p Path) Endpoint(t testing.TB) string {
	t.Helper()
	switch p.Transport {
	case "inproc":
		return fmt.Sprintf("inproc://e2e-%d", inprocs.Add(1))
	case "ipc":
		dir, err := os.MkdirTemp("", "troupe") //nolint:usetesting // t.TempDir's names are too long for a Unix socket
		require.NoError(t, err)
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		return "ipc://" + filepath.Join(dir, "s")
	default:
		return fmt.Sprintf("tcp://127.0.0.1:%d", freePort(t))
	}
}

// freePort finds a port below those that the system gives to outgoing connections, so that it stays free between a close and the next bind.
func freePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 12000 + rand.IntN(20000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			require.NoError(t, l.Close())
			return port
		}
	}
	require.FailNow(t, "no free port between 12000 and 32000")
	return 0
}
