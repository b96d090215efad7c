package e2e_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// What becomes of a worker's hits when its process is killed, or stands still.

func TestWorkerKilled(t *testing.T) {
	for _, p := range []rig.Path{{Transport: "tcp"}, {Transport: "ipc"}, {Transport: "tcp", PerFrame: true}} {
		t.Run(p.String(), func(t *testing.T) {
			site, ctx := rig.NewSite(t, p), rig.Context(t)
			b := site.Broker()
			c := site.Client()
			workers := map[string]*rig.Process{"one": workerProcess(t, site, "one", 2), "two": workerProcess(t, site, "two", 2)}
			h := open(t, ctx, c, "hold")
			victim, other := h.Worker(), "one"
			if victim == other {
				other = "two"
			}
			running := callLater(ctx, h, "never freed")
			workers[victim].Await("holds never freed")
			waiting := callLater(ctx, h, "behind it")
			rig.Until(t, "the second call is under way", func() bool { return callsUnderWay(t, ctx, c, h) == 2 })
			untouched := openAt(t, ctx, c, other)
			kept := callLater(ctx, untouched, "kept")
			workers[other].Await("holds kept")

			workers[victim].Kill()
			for _, calls := range []<-chan result{running, waiting} {
				requireGone(t, rig.Receive(t, calls, "the end of a call").err, victim, "disconnected")
			}
			_, err := h.Call(ctx, nil)
			requireError(t, err, assigner.ErrWorkerGone, assigner.NeverStarted)
			workers[other].Say("free kept")
			r := rig.Receive(t, kept, "the other worker's call")
			require.NoError(t, r.err)
			require.Equal(t, "freed kept", r.reply)
			again := open(t, ctx, c, "echo") // the retry
			require.Equal(t, other, again.Worker())
			requireReply(t, ctx, again, "x", "x")
			require.EqualValues(t, 1, b.Counters()["peers_lost"])
		})
	}
}

// TestOneShotsThatAreLost: with their worker, and with their broker. It is unknown whether they have run.
func TestOneShotsThatAreLost(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	broker := site.BrokerAlone()
	c := site.Client()
	do := func() <-chan error {
		ended := make(chan error, 1)
		go func() {
			_, err := c.Do(ctx, "hold", []byte("never freed"))
			ended <- err
		}()
		return ended
	}
	worker := workerProcess(t, site, "mortal", 1)
	lost := do()
	worker.Await("holds never freed")
	waiting := do()
	rig.Until(t, "the second one waits", func() bool { return waitingOpens(t, ctx, c, "hold") == 1 })
	worker.Kill()
	requireGone(t, rig.Receive(t, lost, "the end of the one-shot"), "mortal", "disconnected")
	heir := rig.Spawn(t, "worker", workerConfig{Broker: site.Workers, Name: "heir", Slots: 1})
	heir.Await("holds never freed") // the one that waited
	broker.Kill()
	requireError(t, rig.Receive(t, waiting, "the end of the other one-shot"), assigner.ErrBrokerGone, assigner.Unknown)
}

// requireGone requires the error of a call that was under way at a worker that was lost, with its why-record.
func requireGone(t *testing.T, err error, worker, detector string) {
	t.Helper()
	requireLost(t, err, worker, "GONE", detector)
}

// requireLost requires the error of a call that was under way at a worker that was lost, with this verdict, and returns the why-record.
func requireLost(t *testing.T, err error, worker, verdict, detector string) machine.Why {
	t.Helper()
	e := requireError(t, err, assigner.ErrWorkerGone, assigner.Unknown)
	require.Contains(t, e.text, "worker "+worker+" is lost")
	require.Equal(t, verdict, e.why.Verdict)
	require.Equal(t, detector, e.why.Detector)
	require.Equal(t, worker, e.why.Worker)
	require.NotEmpty(t, e.why.Measured)
	require.NotEmpty(t, e.why.Done)
	require.NotEmpty(t, e.why.Heard)
	return e.why
}

// TestWorkerFrozen: the silence of the transport tells of a process that stands still, without a word of the worker's code. What it says when it wakes up is
// stale and harms nobody.
func TestWorkerFrozen(t *testing.T) {
	for _, transport := range []string{"tcp", "ipc"} {
		t.Run(transport, func(t *testing.T) {
			site, ctx := rig.NewSite(t, rig.Path{Transport: transport}), rig.Context(t)
			b := site.Broker(func(c *assigner.BrokerConfig) { c.Heartbeat, c.Silence = 50*time.Millisecond, 200*time.Millisecond })
			c := site.Client()
			frozen := workerProcess(t, site, "frozen", 1)
			h := open(t, ctx, c, "hold")
			running := callLater(ctx, h, "deaf")
			frozen.Await("holds deaf")
			frozen.Freeze()
			frozen.Say("free deaf") // it answers as soon as it wakes up
			y := requireLost(t, rig.Receive(t, running, "the verdict").err, "frozen", "FROZEN", "transport silence")
			require.EqualValues(t, 200, y.Limits["silent"])

			workerProcess(t, site, "other", 1)
			other := open(t, ctx, c, "echo")
			require.Equal(t, "other", other.Worker())
			frozen.Thaw()
			back := open(t, ctx, c, "echo") // the other's slot is taken: only the thawed one can serve it
			require.Equal(t, "frozen", back.Worker())
			for i := range 20 {
				requireReply(t, ctx, other, fmt.Sprint("other ", i), fmt.Sprint("other ", i))
				requireReply(t, ctx, back, fmt.Sprint("back ", i), fmt.Sprint("back ", i))
			}
			require.NoError(t, back.Close(ctx))
			rig.Until(t, "no slot of the thawed worker is busy", func() bool { frozen.Say("busy"); return frozen.Await("busy ") == "0" })
			require.Zero(t, b.Counters()["refused_bad-seq"])
		})
	}
}
