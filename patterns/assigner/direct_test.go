package assigner_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

const anyPort = "tcp://127.0.0.1:0"

func direct(c *assigner.WorkerConfig) { c.DirectBind = anyPort }

// site is a broker with one worker that serves direct hits, and a client.
func site(t *testing.T, s services) (*assigner.Broker, *assigner.Worker, *assigner.Client) {
	t.Helper()
	b := startBroker(t)
	w := startWorker(t, b.WorkerEndpoints()[0], s, direct)
	return b, w, dial(t, b.ClientEndpoints()[0])
}

func openDirect(t *testing.T, c *assigner.Client, service string) *assigner.Hit {
	t.Helper()
	h, err := c.OpenWith(limited(t), assigner.OpenRequest{Service: service, Route: assigner.Direct})
	require.NoError(t, err)
	require.True(t, h.Direct())
	return h
}

// connections counts the descriptors of this process, of which sockets are made and closed by other threads.
func connections(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	n := 0
	for _, e := range all {
		if at, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(at, "socket:") {
			n++
		}
	}
	return n
}

func TestDirectCalls(t *testing.T) {
	b, w, c := site(t, services{"echo": {Handler: echo}})
	require.NoError(t, c.Ready(limited(t)))
	before := connections(t)
	h := openDirect(t, c, "echo")
	require.NotZero(t, h.Thread())
	for _, body := range []string{"", "one", strings.Repeat("x", 1<<20)} {
		reply, err := h.Call(limited(t), []byte(body))
		require.NoError(t, err)
		require.Equal(t, body, string(reply))
	}
	require.Greater(t, connections(t), before)
	require.Equal(t, uint64(1), w.Counters()["direct_welcomed"])
	until(t, "the broker has the hit in its books", func() bool {
		answer, err := b.Administer(limited(t), machine.AdminRequest{Cmd: "hit.list"})
		require.NoError(t, err)
		row := answer.(map[string]any)["hits"].([]machine.HitRow)[0]
		return row.Route == "direct" && row.Calls == 3 && row.KiB == 2048
	})
	require.NoError(t, h.Close(limited(t)))
	until(t, "no connection to the worker is left", func() bool { return connections(t) <= before })
	require.Zero(t, w.Busy())
}

func TestADirectHitEndsWithItsLastReplies(t *testing.T) {
	_, w, c := site(t, services{"echo": {Handler: echo}})
	for range 20 {
		h := openDirect(t, c, "echo")
		replies := make(chan error, 50)
		for range cap(replies) {
			go func() {
				_, err := h.Call(limited(t), []byte("x"))
				replies <- err
			}()
		}
		require.NoError(t, receive(t, replies, "the first reply"))
		require.NoError(t, h.Close(limited(t)))
		for range cap(replies) - 1 {
			if err := receive(t, replies, "a reply"); err != nil {
				var e *assigner.Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, assigner.NeverStarted, e.Outcome, "what was called before CLOSE is answered: %v", err)
			}
		}
	}
	until(t, "all slots are free", func() bool { return w.Busy() == 0 })
}

func TestDirectErrorsAndCancel(t *testing.T) {
	_, _, c := site(t, services{
		"slow": {Handler: func(ctx context.Context, c *assigner.Call) ([]byte, error) {
			c.Progress(0.5, "half")
			<-ctx.Done()
			return nil, ctx.Err()
		}},
		"crash": {Handler: func(context.Context, *assigner.Call) ([]byte, error) { panic("no") }},
	})
	h := openDirect(t, c, "slow")
	ctx, cancel := context.WithCancel(limited(t))
	half := make(chan assigner.Progress, 1)
	_, err := h.CallWith(ctx, assigner.Request{Progress: func(p assigner.Progress) { half <- p; cancel() }})
	require.ErrorIs(t, err, assigner.ErrCancelled)
	require.Equal(t, assigner.Progress{Done: 0.5, Note: "half"}, receive(t, half, "progress"))
	require.NoError(t, h.Close(limited(t)), "the thread has come back")

	crash := openDirect(t, c, "crash")
	_, err = crash.Call(limited(t), nil)
	require.ErrorIs(t, err, assigner.ErrPanicked)
}

func TestDirectWithoutADirectWorker(t *testing.T) {
	b := startBroker(t)
	startWorker(t, b.WorkerEndpoints()[0], services{"echo": {Handler: echo}})
	c := dial(t, b.ClientEndpoints()[0])
	h, err := c.OpenWith(limited(t), assigner.OpenRequest{Service: "echo"})
	require.NoError(t, err)
	require.NoError(t, h.Close(limited(t)))
	ctx, cancel := context.WithTimeout(limited(t), 300*time.Millisecond) // the broker has just been started and would wait for one
	defer cancel()
	_, err = c.OpenWith(ctx, assigner.OpenRequest{Service: "echo", Route: assigner.Direct})
	require.Error(t, err)
}

func TestADirectEndpointThatIsNotReached(t *testing.T) {
	b := startBroker(t)
	w := startWorker(t, b.WorkerEndpoints()[0], services{"echo": {Handler: echo}}, direct, func(c *assigner.WorkerConfig) { c.DirectAdvertise = "127.0.0.2" })
	c, err := assigner.Dial(limited(t), assigner.ClientConfig{Broker: b.ClientEndpoints()[0], Logger: quiet(), DirectPatience: 200 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close(limited(t)) })
	_, err = c.OpenWith(limited(t), assigner.OpenRequest{Service: "echo", Route: assigner.Direct})
	require.ErrorIs(t, err, assigner.ErrNoDirectWay)
	require.ErrorContains(t, err, "tcp://127.0.0.2:")
	require.ErrorContains(t, err, "--direct-advertise")
	h, err := c.OpenWith(limited(t), assigner.OpenRequest{Service: "echo", Route: assigner.DirectOrRouted})
	require.NoError(t, err)
	require.False(t, h.Direct())
	reply, err := h.Call(limited(t), []byte("all the same"))
	require.NoError(t, err)
	require.Equal(t, "all the same", string(reply))
	require.NoError(t, h.Close(limited(t)))
	until(t, "no slot is held by the hit that came to nothing", func() bool { return w.Busy() == 0 })
}

func TestTheWorkerOfADirectHitIsClosed(t *testing.T) {
	b := startBroker(t)
	w := startWorker(t, b.WorkerEndpoints()[0], services{"echo": {Handler: echo}}, direct)
	c := dial(t, b.ClientEndpoints()[0])
	h := openDirect(t, c, "echo")
	require.NoError(t, w.Close(limited(t)))
	until(t, "the client knows", func() bool {
		_, err := h.Call(limited(t), nil)
		return err != nil
	})
}

func TestTheClientOfADirectHitIsClosed(t *testing.T) {
	_, w, c := site(t, services{"echo": {Handler: echo}})
	openDirect(t, c, "echo")
	require.Equal(t, 1, w.Busy())
	require.NoError(t, c.Close(limited(t)))
	until(t, "its slot is free", func() bool { return w.Busy() == 0 })
}

func TestBadDirectConfig(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg  assigner.WorkerConfig
		says string
	}{
		"open to others":    {assigner.WorkerConfig{DirectBind: "tcp://0.0.0.0:0"}, "--insecure"},
		"no endpoint":       {assigner.WorkerConfig{DirectBind: "5700"}, "not a ZeroMQ endpoint"},
		"nothing to advise": {assigner.WorkerConfig{DirectAdvertise: "here"}, "DirectBind"},
	} {
		tc.cfg.Services = services{"echo": {Handler: echo}}
		_, err := assigner.NewWorker(tc.cfg)
		require.ErrorContains(t, err, tc.says, name)
	}
}
