package rig

import (
	"testing"

	"github.com/troupe-mq/troupe/test/harness"
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

// Endpoint returns an endpoint that nobody uses and that can be bound, closed and bound again.
func (p Path) Endpoint(t testing.TB) string { t.Helper(); return harness.Endpoint(t, p.Transport) }
