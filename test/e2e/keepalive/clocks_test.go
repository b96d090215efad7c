package keepalive_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
	"github.com/troupe-mq/troupe/test/harness"
)

// TestWallClocksMayJump: libzmq and Python see another day whenever they look at a wall clock, and nothing comes of it. Go's side is a rule of test/arch.
func TestWallClocksMayJump(t *testing.T) {
	shim := filepath.Join(t.TempDir(), "jump.so")
	out, err := exec.CommandContext(t.Context(), "gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", shim, "testdata/jump.c").CombinedOutput()
	require.NoError(t, err, "%s", out)
	site := rig.NewSite(t, rig.TCP)
	b := site.Broker(heartbeats)
	t.Setenv("LD_PRELOAD", shim)
	p := rig.Python(t, "testdata/jumping.py", site.Clients, site.Workers)
	require.NoError(t, os.Unsetenv("LD_PRELOAD"))
	p.Await("expired")
	require.Equal(t, "True True", p.Await("alive: "))
	p.Await("ready")
	before := b.Counters()["peers_lost"]
	h, err := site.Client().Open(rig.Context(t), "wait")
	require.NoError(t, err)
	go func() { _, _ = h.Call(t.Context(), []byte("for-ever")) }()
	rig.Until(t, "the call runs", func() bool {
		v, err := h.IsAlive(rig.Context(t))
		require.NoError(t, err)
		return v.Running == 1
	})
	requireBusy(t, h)
	p.Say("hello")
	p.Await("answered hello")
	require.Equal(t, before, b.Counters()["peers_lost"], "nobody was taken for silent")
}

// TestClocksOfProcessesNeedNotAgree: the broker's monotonic clock began days before the others'. Deadlines, leases and limits are spans on every wire.
func TestClocksOfProcessesNeedNotAgree(t *testing.T) {
	away := []string{"unshare", "--time", "--monotonic", "864000", "--boottime", "864000", "--fork", "--kill-child"}
	if said, err := exec.CommandContext(t.Context(), away[0], append(away[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("a time namespace cannot be made here, which needs root: %v: %s", err, said)
	}
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	cfg := site.BrokerConfig()
	cfg.Logger, cfg.Heartbeat, cfg.Silence = nil, beat, limit
	cmd := harness.AsRole(t, exec.CommandContext(t.Context(), away[0], append(away[1:], os.Args[0])...), "broker", cfg)
	rig.Start(t, "broker", cmd).Await("started")
	g := newGuard()
	site.Worker(rig.Services{"hold": g.service(), "chat": {Handler: func(context.Context, *assigner.Call) ([]byte, error) { return nil, nil }}},
		func(c *assigner.WorkerConfig) { c.DirectBind = "tcp://127.0.0.1:0" })
	c := site.Client(patience(limit))
	h, _ := begin(t, c, "hold")
	direct, err := c.OpenWith(ctx, assigner.OpenRequest{Service: "chat", Route: assigner.Direct})
	require.NoError(t, err)
	requireBusy(t, h)
	for range 100 {
		_, err := direct.Call(ctx, nil)
		require.NoError(t, err, "the lease is renewed")
	}
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	_, err = c.Do(short, "hold", nil)
	require.ErrorIs(t, err, assigner.ErrExpired)
}
