package e2e_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// whys asks the broker of a client for its why-records about somebody.
func whys(t *testing.T, ctx context.Context, c *assigner.Client, about string) machine.WhyReport {
	t.Helper()
	answer, err := c.Admin(ctx, machine.AdminRequest{Cmd: "why", About: about})
	require.NoError(t, err)
	var report machine.WhyReport
	require.NoError(t, json.Unmarshal(answer, &report))
	return report
}

// awaitWhy waits for a verdict about somebody, and returns its record.
func awaitWhy(t *testing.T, ctx context.Context, c *assigner.Client, about, verdict string) (found machine.Why) {
	t.Helper()
	rig.Until(t, about+" is "+verdict, func() bool {
		for _, y := range whys(t, ctx, c, about).Records {
			if y.Verdict == verdict {
				found = y
				return true
			}
		}
		return false
	})
	return found
}

// TestAnIdleWorkerIsKilled: nothing is sent to it, and nothing was expected of it.
func TestAnIdleWorkerIsKilled(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	site.Broker()
	c := site.Client()
	w := workerProcess(t, site, "idle", 1)
	w.Kill()
	y := awaitWhy(t, ctx, c, "idle", "GONE")
	require.Equal(t, "disconnected", y.Detector)
	require.Len(t, whys(t, ctx, c, "idle").Records, 1)
}

// TestAnIdleWorkerIsFrozen within the limit and a tenth of it, by what the record says was measured.
func TestAnIdleWorkerIsFrozen(t *testing.T) {
	const silence = 2 * time.Second
	for _, transport := range []string{"tcp", "ipc"} {
		t.Run(transport, func(t *testing.T) {
			site, ctx := rig.NewSite(t, rig.Path{Transport: transport}), rig.Context(t)
			site.Broker(func(c *assigner.BrokerConfig) { c.Heartbeat, c.Silence = 200*time.Millisecond, silence })
			c := site.Client()
			w := workerProcess(t, site, "frozen", 1)
			w.Freeze()
			y := awaitWhy(t, ctx, c, "frozen", "FROZEN")
			require.Equal(t, silence.Milliseconds(), y.Limits["silent"])
			require.GreaterOrEqual(t, y.Values["silent"], y.Limits["silent"])
			require.LessOrEqual(t, y.Values["silent"], y.Limits["silent"]*11/10)
			require.Len(t, whys(t, ctx, c, "frozen").Records, 1, "one fault, one verdict")
			w.Thaw()
			rig.Until(t, "it is back", func() bool { return len(workersOf(t, ctx, c)) == 1 })
		})
	}
}

func workersOf(t *testing.T, ctx context.Context, c *assigner.Client) []machine.WorkerRow {
	t.Helper()
	answer, err := c.Admin(ctx, machine.AdminRequest{Cmd: "worker.list"})
	require.NoError(t, err)
	var page struct{ Workers []machine.WorkerRow }
	require.NoError(t, json.Unmarshal(answer, &page))
	return page.Workers
}

// TestABrokerThatIsStopped for longer than all of its limits gives no verdict when it goes on, and loses nobody: their own judges have longer limits.
func TestABrokerThatIsStopped(t *testing.T) {
	for _, transport := range []string{"tcp", "ipc"} {
		t.Run(transport, func(t *testing.T) {
			site, ctx := rig.NewSite(t, rig.Path{Transport: transport}), rig.Context(t)
			cfg := site.BrokerConfig()
			cfg.Logger, cfg.Heartbeat, cfg.Silence, cfg.Stuck = nil, 50*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond
			broker := rig.Spawn(t, "broker", cfg)
			broker.Await("started")
			c := site.Client(func(c *assigner.ClientConfig) { c.Silence = time.Minute })
			site.Worker(rig.Services{"echo": echo}, func(c *assigner.WorkerConfig) { c.Silence = time.Minute })
			rig.NewRaw(t, site.Workers).Ready("foreign", 1, "other") // its library alone answers, and it has asked for nothing
			h := open(t, ctx, c, "echo")
			requireReply(t, ctx, h, "before", "before")
			for range 2 {
				broker.Freeze()
				<-time.After(3 * cfg.Silence) // what must not matter is that this time passes
				broker.Thaw()
				requireReply(t, ctx, h, "after", "after")
			}
			report := whys(t, ctx, c, "")
			require.Empty(t, report.Records)
			require.GreaterOrEqual(t, report.Starved, uint64(2))
			require.Len(t, workersOf(t, ctx, c), 2)
		})
	}
}

// TestAPythonWorkerThatHoldsTheLock is never FROZEN. It is STUCK once where it has declared nothing, and not at all under a lease of its service or its call.
func TestAPythonWorkerThatHoldsTheLock(t *testing.T) {
	const stuck = time.Second
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	site.Broker(func(c *assigner.BrokerConfig) { c.Heartbeat, c.Silence, c.Stuck = 100*time.Millisecond, stuck, stuck })
	c := site.Client()
	_, here, _, ok := runtime.Caller(0)
	require.True(t, ok)
	script := filepath.Join(filepath.Dir(here), "testdata", "lockholder.py")
	_, err := os.Stat(script)
	require.NoError(t, err)
	w := rig.Python(t, script, filepath.Join(filepath.Dir(here), "../../examples/python"), site.Workers)
	w.Await("registered")
	for _, service := range []string{"bare", "leased", "held"} {
		h := open(t, ctx, c, service)
		reply, err := h.Call(ctx, []byte("3"))
		require.NoError(t, err)
		require.Equal(t, "3", string(reply))
		require.NoError(t, h.Close(ctx))
	}
	counts := whys(t, ctx, c, "").Counts
	delete(counts, "HEALTHY") // when it has answered, unless the hit is closed at once
	require.Equal(t, map[string]uint64{"STUCK": 1}, counts)
	for _, y := range whys(t, ctx, c, "holder").Records {
		if y.Verdict == "STUCK" {
			require.LessOrEqual(t, y.Values["no_sign"], y.Limits["no_sign"]*11/10)
		}
	}
	h := open(t, ctx, c, "fails")
	_, err = h.Call(ctx, []byte("3"))
	e := requireError(t, err, assigner.ErrStuck, assigner.Unknown)
	require.Equal(t, "STUCK", e.why.Verdict)
}
