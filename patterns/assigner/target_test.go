package assigner_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

// named is a service that answers with the name of its worker.
func named(name string) services {
	return services{"who": {Handler: func(context.Context, *assigner.Call) ([]byte, error) { return []byte(name), nil }}}
}

func TestTargetsChooseWorkers(t *testing.T) {
	b := startBroker(t)
	for name, labels := range map[string]map[string]string{"w1": {"gpu": "a100"}, "w2": {"gpu": "h100", "zone": "x"}, "w3": nil} {
		w := startWorker(t, b.WorkerEndpoints()[0], named(name), func(c *assigner.WorkerConfig) { c.Name, c.Labels = name, labels })
		receive(t, w.Welcomed(), "the worker's welcome")
	}
	c := dial(t, b.ClientEndpoints()[0])
	ask := func(target assigner.Target) (string, error) {
		got, err := c.DoWith(limited(t), assigner.OpenRequest{Service: "who", Target: target}, assigner.Request{Frames: [][]byte{nil}})
		if err != nil {
			return "", err
		}
		return string(got[0]), nil
	}
	for range 5 {
		got, err := ask(assigner.Target{Worker: "w3"})
		require.NoError(t, err)
		require.Equal(t, "w3", got)
		got, err = ask(assigner.Target{Where: "gpu,zone!=x"})
		require.NoError(t, err)
		require.Equal(t, "w1", got)
	}
	first, err := ask(assigner.Target{Key: "blue"})
	require.NoError(t, err)
	for range 5 {
		got, err := ask(assigner.Target{Key: "blue"})
		require.NoError(t, err)
		require.Equal(t, first, got)
	}
	members, err := c.Members(limited(t), "who", "gpu")
	require.NoError(t, err)
	require.Len(t, members, 2)
	require.Equal(t, "w1", members[0].Worker)
	require.Equal(t, map[string]string{"gpu": "a100"}, members[0].Labels)
	a, err := c.DoAt(limited(t), assigner.OpenRequest{Service: "who", Target: assigner.Target{Member: members[1].ID}}, assigner.Request{Frames: [][]byte{nil}})
	require.NoError(t, err)
	require.Equal(t, assigner.Answer{Frames: [][]byte{[]byte("w2")}, Member: members[1].ID}, a)

	_, err = ask(assigner.Target{Where: "gpu=none", Absent: assigner.AbsentFail})
	requireError(t, err, assigner.ErrNoMatch, assigner.NeverStarted)
	_, err = ask(assigner.Target{Where: "gpu=none", Worker: "w1"})
	require.ErrorContains(t, err, "exactly one")
	_, err = c.Members(limited(t), "who", "=")
	require.ErrorContains(t, err, "selector")

	h, err := c.OpenWith(limited(t), assigner.OpenRequest{Service: "who", Target: assigner.Target{Worker: "w2"}})
	require.NoError(t, err)
	reply, err := h.Call(limited(t), nil)
	require.NoError(t, err)
	require.Equal(t, "w2", string(reply))
	require.NoError(t, h.Close(limited(t)))
}

// A worker that is asked for by name is waited for, and all wait in its own queue.
func TestTargetsAreWaitedFor(t *testing.T) {
	b := startBroker(t)
	w := startWorker(t, b.WorkerEndpoints()[0], named("here"), func(c *assigner.WorkerConfig) { c.Name = "here" })
	receive(t, w.Welcomed(), "the worker's welcome")
	c := dial(t, b.ClientEndpoints()[0])
	var all sync.WaitGroup
	got := make(chan string, 20)
	for range 20 {
		all.Go(func() {
			r, err := c.DoWith(limited(t), assigner.OpenRequest{Service: "who", Target: assigner.Target{Worker: "late"}}, assigner.Request{Frames: [][]byte{nil}})
			if err != nil {
				got <- err.Error()
				return
			}
			got <- string(r[0])
		})
	}
	until(t, "all wait", func() bool {
		s, err := b.Administer(limited(t), machine.AdminRequest{Cmd: "status"})
		require.NoError(t, err)
		r := s.(machine.StatusReport)
		return len(r.Services) > 0 && r.Services[0].Waiting == 20
	})
	startWorker(t, b.WorkerEndpoints()[0], named("late"), func(c *assigner.WorkerConfig) { c.Name, c.Slots = "late", 2 })
	all.Wait()
	for range 20 {
		require.Equal(t, "late", <-got)
	}
}
