package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// A client that is gone, in whatever way, leaves no thread busy: what runs is cancelled, and each session is closed on its thread.

func TestClientKilled(t *testing.T) {
	for _, transport := range []string{"tcp", "ipc"} {
		t.Run(transport, func(t *testing.T) {
			site, ctx := rig.NewSite(t, rig.Path{Transport: transport}), rig.Context(t)
			b := site.Broker()
			const hits = 4
			d := waitingDiary()
			w := site.Worker(rig.Services{"hold": d.service(), "echo": echo}, rig.Slots(hits))
			p := rig.Spawn(t, "client", clientConfig{site.Clients, hits})
			p.Await("opened")
			threads := make(map[uint64]int)
			for range 2 * hits { // opens and calls
				n := rig.Receive(t, d.notes, "a session's note")
				require.Contains(t, []int{0, n.thread}, threads[n.hit])
				threads[n.hit] = n.thread
			}
			p.Kill()
			requireAllClosed(t, d, threads)
			rig.Until(t, "the slots are free", func() bool { return w.Busy() == 0 })
			c := site.Client()
			for range hits {
				requireReply(t, ctx, open(t, ctx, c, "echo"), "free", "free")
			}
			require.NotZero(t, b.Counters()["peers_lost"])
		})
	}
}

func TestClientClosesWithoutClosingItsHits(t *testing.T) {
	rig.EachPath(t, func(t *testing.T, p rig.Path) {
		site, ctx := rig.NewSite(t, p), rig.Context(t)
		site.Broker()
		const hits = 3
		d := waitingDiary()
		w := site.Worker(rig.Services{"hold": d.service()}, rig.Slots(hits))
		c := site.Client()
		threads := make(map[uint64]int)
		var running []<-chan result
		for range hits {
			h := open(t, ctx, c, "hold")
			threads[h.Handle()] = h.Thread()
			running = append(running, callLater(ctx, h, "x"))
			d.expect(t, "open")
			d.expect(t, "call x")
		}
		require.NoError(t, c.Close(ctx))
		for _, r := range running {
			requireError(t, rig.Receive(t, r, "the end of a call").err, assigner.ErrClosed, assigner.Unknown)
		}
		requireAllClosed(t, d, threads)
		rig.Until(t, "the slots are free", func() bool { return w.Busy() == 0 })
		_, err := c.Open(ctx, "hold")
		requireError(t, err, assigner.ErrClosed, assigner.NeverStarted)
	})
}

// waitingDiary notes what happens, and its calls wait until they are cancelled.
func waitingDiary() *diary {
	d := newDiary()
	d.on = untilCancelled
	return d
}

// requireAllClosed requires that each hit's session is closed once, on its thread.
func requireAllClosed(t *testing.T, d *diary, threads map[uint64]int) {
	t.Helper()
	for range len(threads) {
		n := rig.Receive(t, d.notes, "a session's close")
		require.Equal(t, "close", n.what)
		require.Equal(t, threads[n.hit], n.thread, "hit %x is closed on its thread", n.hit)
		delete(threads, n.hit)
	}
	require.Empty(t, threads)
}
