package e2e_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// TestNothingStaysBehind starts and stops everything many times, with hits open and calls under way, on all paths in turn: no goroutine, no
// descriptor and no thread stays.
func TestNothingStaysBehind(t *testing.T) {
	cycle := func(p rig.Path) {
		t.Run(p.String(), func(t *testing.T) {
			site, ctx := rig.NewSite(t, p), rig.Context(t)
			b := site.Broker()
			d := waitingDiary()
			w := site.Worker(rig.Services{"diary": d.service(), "kept": {Handler: echo.Handler, KeepThread: true}}, rig.Slots(4))
			c := site.Client()
			h := open(t, ctx, c, "diary")
			running := callLater(ctx, h, "x")
			d.expect(t, "open")
			d.expect(t, "call x")
			_, err := c.Do(ctx, "kept", []byte("one"))
			require.NoError(t, err)
			open(t, ctx, c, "kept")
			require.NoError(t, b.Close(ctx))
			requireError(t, rig.Receive(t, running, "the call's end").err, assigner.ErrBrokerGone, assigner.Unknown)
			require.NoError(t, w.Close(ctx))
			require.NoError(t, c.Close(ctx))
		})
	}
	paths := []rig.Path{{Transport: "tcp"}, {Transport: "ipc"}, {Transport: "inproc"}, {Transport: "tcp", PerFrame: true}}
	for _, p := range paths {
		cycle(p) // what is made once per process is made now
	}
	goroutines := goleak.IgnoreCurrent()
	descriptors := entries(t, "/proc/self/fd")
	threads := entries(t, "/proc/self/task")
	cycles := 52
	if testing.Short() {
		cycles = 16
	}
	for i := range cycles {
		cycle(paths[i%len(paths)])
	}
	goleak.VerifyNone(t, goroutines)
	rig.Until(t, "no more descriptors are open than before", func() bool { return entries(t, "/proc/self/fd") <= descriptors })
	require.Less(t, entries(t, "/proc/self/task"), threads+cycles/2, "each cycle has made four threads of its own; Go keeps a few, not all")
}

func entries(t *testing.T, dir string) int {
	t.Helper()
	e, err := os.ReadDir(dir)
	require.NoError(t, err)
	return len(e)
}
