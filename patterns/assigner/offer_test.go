package assigner_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

func says(text string) assigner.Service {
	return assigner.Service{Threads: assigner.Goroutines, Handler: func(context.Context, *assigner.Call) ([]byte, error) { return []byte(text), nil }}
}

// A worker changes what it offers while it runs, at both of its brokers; open hits go on, and the next registration says the same.
func TestAWorkerChangesWhatItOffers(t *testing.T) {
	brokers := []*assigner.Broker{startBroker(t), startBroker(t)}
	w := startWorker(t, brokers[0].WorkerEndpoints()[0], services{"old": says("old")}, func(c *assigner.WorkerConfig) {
		c.Broker, c.Brokers, c.Slots = "", []string{brokers[0].WorkerEndpoints()[0], brokers[1].WorkerEndpoints()[0]}, 4
	})
	for i, b := range brokers {
		c := dial(t, b.ClientEndpoints()[0])
		hit, err := c.Open(limited(t), "old") // waits for the worker
		require.NoError(t, err)
		require.NoError(t, w.SetServices(map[string]assigner.Service{"new": says("new"), "old2": says("x")}))
		require.NoError(t, w.SetLabels(map[string]string{"round": "1"}))
		got, err := c.Do(limited(t), "new", nil)
		require.NoError(t, err)
		require.Equal(t, "new", string(got))
		got, err = hit.Call(limited(t), nil)
		require.NoError(t, err)
		require.Equal(t, "old", string(got), "an open hit goes on")
		require.NoError(t, hit.Close(limited(t)))
		members, err := c.Members(limited(t), "new", "round=1")
		require.NoError(t, err)
		require.Len(t, members, 1)
		if i == 0 {
			require.NoError(t, w.SetServices(map[string]assigner.Service{"old": says("old")}))
		}
	}
	require.ErrorContains(t, w.SetServices(nil), "there are none")
	require.ErrorContains(t, w.SetServices(map[string]assigner.Service{"a b": says("x")}), "printable ASCII")
	require.ErrorContains(t, w.SetServices(map[string]assigner.Service{"a": {}}), "set one of the two")
	require.ErrorContains(t, w.SetLabels(map[string]string{"": "x"}), "label")
	require.NoError(t, w.SetLabels(nil))
	c := dial(t, brokers[0].ClientEndpoints()[0])
	_, err := c.DoWith(limited(t), assigner.OpenRequest{Service: "new", Target: assigner.Target{Where: "round=1", Absent: assigner.AbsentFail}}, assigner.Request{Frames: [][]byte{nil}})
	requireError(t, err, assigner.ErrNoMatch, assigner.NeverStarted)
}

// What was set before the start is what READY says.
func TestAWorkerIsToldWhatToOfferBeforeItsStart(t *testing.T) {
	b := startBroker(t)
	w, err := assigner.NewWorker(assigner.WorkerConfig{Broker: b.WorkerEndpoints()[0], Services: services{"old": says("old")}, Logger: quiet()})
	require.NoError(t, err)
	require.NoError(t, w.SetServices(map[string]assigner.Service{"new": says("new")}))
	require.NoError(t, w.Start(t.Context()))
	defer func() { require.NoError(t, w.Close(limited(t))) }()
	got, err := dial(t, b.ClientEndpoints()[0]).Do(limited(t), "new", nil)
	require.NoError(t, err)
	require.Equal(t, "new", string(got))
}
