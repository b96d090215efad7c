package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// TestCallsMoveToAnotherWorker: a hit whose calls may run again outlives a worker that is killed, stands still, or makes no progress. So does a one-shot; one that
// may not run again is told.
func TestCallsMoveToAnotherWorker(t *testing.T) {
	for way, end := range map[string]func(*rig.Process){"killed": (*rig.Process).Kill, "frozen": (*rig.Process).Freeze, "stuck": nil} {
		t.Run(way, func(t *testing.T) {
			site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
			b := site.Broker(func(c *assigner.BrokerConfig) {
				c.Heartbeat, c.Silence, c.Stuck = 50*time.Millisecond, 400*time.Millisecond, time.Hour
				if c.Repair.Services = map[string]assigner.Repair{"hold": assigner.RepairRestart}; way == "stuck" {
					c.Stuck = 2 * time.Second
				}
			})
			c := site.Client()
			workers := map[string]*rig.Process{"one": workerProcess(t, site, "one", 3), "two": workerProcess(t, site, "two", 3)}
			h := open(t, ctx, c, "hold")
			victim, other := workers[h.Worker()], workers["one"]
			if other == victim {
				other = workers["two"]
			}
			calls := []<-chan result{idempotent(ctx, h, "first")}
			victim.Await("holds first")
			calls = append(calls, idempotent(ctx, h, "second"))
			rig.Until(t, "the second call is under way", func() bool { return callsUnderWay(t, ctx, c, h) == 2 })

			if end != nil {
				end(victim)
			}
			for i, name := range []string{"first", "second"} {
				other.Await("holds " + name)
				other.Say("free " + name)
				r := rig.Receive(t, calls[i], "the "+name+" call")
				require.NoError(t, r.err)
				require.Equal(t, "freed "+name, r.reply)
			}
			require.NoError(t, h.Close(ctx))
			report, err := b.Administer(ctx, machine.AdminRequest{Cmd: "status"})
			require.NoError(t, err)
			require.EqualValues(t, 1, report.(machine.StatusReport).Totals.Moved)
			report, err = b.Administer(ctx, machine.AdminRequest{Cmd: "why"})
			require.NoError(t, err)
			require.Equal(t, "moved to "+map[bool]string{true: "one", false: "two"}[other == workers["one"]]+" (move 1 of 3)", report.(machine.WhyReport).Records[0].Done)
		})
	}
}

// TestAHitGoesOnAtAPythonWorker: with the seq that it has, its calls right behind BEGIN.
func TestAHitGoesOnAtAPythonWorker(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	site.Broker(func(c *assigner.BrokerConfig) {
		c.Repair.Services = map[string]assigner.Repair{assigner.AnyService: assigner.RepairRestart}
	})
	first := workerProcess(t, site, "one", 1)
	h := open(t, ctx, site.Client(), "hold")
	answered := idempotent(ctx, h, "answered")
	first.Await("holds answered")
	first.Say("free answered")
	require.Equal(t, result{reply: "freed answered"}, rig.Receive(t, answered, "the call before"))
	calls := []<-chan result{idempotent(ctx, h, "second")}
	first.Await("holds second")
	calls = append(calls, idempotent(ctx, h, "third"))

	python := rig.Python(t, "testdata/heir.py", site.Workers)
	python.Await("registered")
	first.Kill()
	for i, name := range []string{"second", "third"} {
		require.Equal(t, result{reply: "went on with " + name}, rig.Receive(t, calls[i], "the "+name+" call"))
	}
	require.NoError(t, h.Close(ctx))
}

// idempotent makes a call that may run again.
func idempotent(ctx context.Context, h *assigner.Hit, body string) <-chan result {
	ended := make(chan result, 1)
	go func() {
		frames, err := h.CallWith(ctx, assigner.Request{Frames: [][]byte{[]byte(body)}, Idempotent: true})
		if err != nil {
			ended <- result{err: err}
			return
		}
		ended <- result{reply: string(frames[0])}
	}()
	return ended
}
