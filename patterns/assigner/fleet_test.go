package assigner_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// nobody is an endpoint at which nothing listens.
const nobody = "tcp://127.0.0.1:1"

func dialAll(t testing.TB, change func(*assigner.ClientConfig), urls ...string) *assigner.Client {
	t.Helper()
	cfg := assigner.ClientConfig{Logger: quiet(), Patience: time.Second}
	for _, url := range urls {
		cfg.Brokers = append(cfg.Brokers, assigner.BrokerRef{URL: url})
	}
	if change != nil {
		change(&cfg)
	}
	c, err := assigner.Dial(limited(t), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close(context.Background())) })
	return c
}

// harbour starts a broker with a worker of this name and so many slots, and returns its endpoint for clients.
func harbour(t testing.TB, name string, slots int) string {
	t.Helper()
	b := startBroker(t)
	w := startWorker(t, b.WorkerEndpoints()[0], services{"echo": {Handler: echoBack, Threads: assigner.Goroutines}}, func(c *assigner.WorkerConfig) {
		c.Name, c.Slots = name, slots
	})
	receive(t, w.Welcomed(), "the welcome of "+name)
	return b.ClientEndpoints()[0]
}

func echoBack(_ context.Context, c *assigner.Call) ([]byte, error) { return c.Body(), nil }

// registered waits until the client knows all of its brokers.
func registered(t testing.TB, c *assigner.Client, n int) {
	t.Helper()
	until(t, "all brokers know the client", func() bool { return c.Registered() == n })
}

func TestHitsSpreadOverBrokersByWeight(t *testing.T) {
	a, b := harbour(t, "a", 100), harbour(t, "b", 100)
	c := dialAll(t, func(cfg *assigner.ClientConfig) { cfg.Brokers[1].Weight = 3 }, a, b)
	registered(t, c, 2)
	at := map[string]int{}
	for range 100 {
		h, err := c.Open(limited(t), "echo")
		require.NoError(t, err)
		at[h.Worker()]++
	}
	require.Equal(t, map[string]int{"a": 25, "b": 75}, at)
}

// A broker that is full, or not there, costs no hit.
func TestHitsAreOpenedWhereThereIsRoom(t *testing.T) {
	full, roomy := harbour(t, "full", 1), harbour(t, "roomy", 20)
	c := dialAll(t, nil, nobody, full, roomy)
	registered(t, c, 2)
	at := map[string]int{}
	for range 21 {
		h, err := c.Open(limited(t), "echo")
		require.NoError(t, err)
		at[h.Worker()]++
		reply, err := h.Call(limited(t), []byte(h.Worker()))
		require.NoError(t, err)
		require.Equal(t, h.Worker(), string(reply))
	}
	require.Equal(t, map[string]int{"full": 1, "roomy": 20}, at)

	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_, err := c.Open(ctx, "echo")
	var e *assigner.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, assigner.NeverStarted, e.Outcome, "%v", err)
	require.Equal(t, "echo", e.Service)
}

// While all are full an open waits, and is served by whichever broker has a slot first.
func TestOpensWaitWhileAllBrokersAreFull(t *testing.T) {
	c := dialAll(t, func(cfg *assigner.ClientConfig) { cfg.Patience = 20 * time.Millisecond }, harbour(t, "a", 1), harbour(t, "b", 1))
	registered(t, c, 2)
	var held []*assigner.Hit
	for range 2 {
		h, err := c.Open(limited(t), "echo")
		require.NoError(t, err)
		held = append(held, h)
	}
	for _, free := range held {
		opened := make(chan *assigner.Hit, 1)
		go func() {
			h, _ := c.Open(limited(t), "echo")
			opened <- h
		}()
		require.NoError(t, free.Close(limited(t)))
		h := receive(t, opened, "the hit that waited")
		require.NotNil(t, h)
		require.NoError(t, h.Close(limited(t)))
		again, err := c.Open(limited(t), "echo") // take the slot again
		require.NoError(t, err)
		defer func() { _ = again.Close(context.Background()) }()
	}
}

// One-shots of many goroutines run once each, whichever broker serves them.
func TestOneShotsOverSeveralBrokers(t *testing.T) {
	c := dialAll(t, nil, harbour(t, "a", 2), nobody, harbour(t, "b", 2))
	registered(t, c, 2)
	var group sync.WaitGroup
	errs := make(chan error, 400)
	for range 8 {
		group.Go(func() {
			for range 50 {
				reply, err := c.Do(limited(t), "echo", []byte("x"))
				if err == nil && string(reply) != "x" {
					err = context.Canceled
				}
				errs <- err
			}
		})
	}
	group.Wait()
	for range 400 {
		require.NoError(t, <-errs)
	}
}

// What no broker offers is refused with the brokers' own words; what one of them offers is found there.
func TestServicesOfSeveralBrokers(t *testing.T) {
	here := startBroker(t)
	w := startWorker(t, here.WorkerEndpoints()[0], services{"only here": {Handler: echoBack}}, func(c *assigner.WorkerConfig) { c.Services = services{"only-here": {Handler: echoBack}} })
	receive(t, w.Welcomed(), "the welcome")
	c := dialAll(t, nil, harbour(t, "elsewhere", 4), here.ClientEndpoints()[0])
	registered(t, c, 2)
	for range 4 {
		reply, err := c.Do(limited(t), "only-here", []byte("x"))
		require.NoError(t, err)
		require.Equal(t, "x", string(reply))
	}
}

func TestNoBrokerIsReached(t *testing.T) {
	c := dialAll(t, nil, nobody, "tcp://127.0.0.1:2")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err := c.Open(ctx, "echo")
	require.ErrorIs(t, err, assigner.ErrBrokerGone)
	require.ErrorContains(t, err, "none of the 2 brokers is reached")
	require.ErrorContains(t, err, "tcp://127.0.0.1:2")
	require.ErrorIs(t, c.Ready(ctx), assigner.ErrBrokerGone)
}

func TestSameBrokerTwice(t *testing.T) {
	free := []string{"tcp://127.0.0.1:0", "tcp://127.0.0.1:0"}
	b, err := assigner.NewBroker(assigner.BrokerConfig{Clients: free, Workers: free[:1], Logger: quiet()})
	require.NoError(t, err)
	require.NoError(t, b.Start(limited(t)))
	t.Cleanup(func() { require.NoError(t, b.Close(context.Background())) })
	w := startWorker(t, b.WorkerEndpoints()[0], services{"echo": {Handler: echoBack}})
	receive(t, w.Welcomed(), "the welcome")
	c := dialAll(t, nil, b.ClientEndpoints()...)
	_, err = c.Do(limited(t), "echo", []byte("x"))
	require.NoError(t, err, "the one that is there serves")
	require.Equal(t, 1, c.Registered())
	twice := 0
	until(t, "the other address is given up", func() bool {
		twice = 0
		for _, s := range c.Brokers() {
			if errors.Is(s.Err, assigner.ErrSameBroker) {
				require.ErrorContains(t, s.Err, "are one and the same: name it once")
				require.False(t, s.Registered)
				twice++
			}
		}
		return twice > 0
	})
	require.Equal(t, 1, twice)
}

func TestAWorkerIsAtTheSameBrokerTwice(t *testing.T) {
	free := []string{"tcp://127.0.0.1:0", "tcp://127.0.0.1:0"}
	b, err := assigner.NewBroker(assigner.BrokerConfig{Clients: free[:1], Workers: free, Logger: quiet()})
	require.NoError(t, err)
	require.NoError(t, b.Start(limited(t)))
	t.Cleanup(func() { require.NoError(t, b.Close(context.Background())) })
	w := startWorker(t, b.WorkerEndpoints()[0], services{"echo": {Handler: echoBack}}, func(c *assigner.WorkerConfig) {
		c.Broker, c.Brokers = "", b.WorkerEndpoints()
	})
	receive(t, w.Welcomed(), "the welcome")
	until(t, "one of the addresses is refused", func() bool {
		for _, s := range w.Brokers() {
			if errors.Is(s.Err, assigner.ErrNameTaken) {
				require.ErrorContains(t, s.Err, "registered here already, by another address of this broker: name the broker once")
				return true
			}
		}
		return false
	})
	reply, err := dial(t, b.ClientEndpoints()[0]).Do(limited(t), "echo", []byte("x"))
	require.NoError(t, err)
	require.Equal(t, "x", string(reply))
}

func TestMistakesInSeveralBrokers(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg  assigner.ClientConfig
		says string
	}{
		"both":     {assigner.ClientConfig{Broker: nobody, Brokers: []assigner.BrokerRef{{URL: nobody}}}, "set one of the two"},
		"twice":    {assigner.ClientConfig{Brokers: []assigner.BrokerRef{{URL: nobody}, {URL: nobody}}}, "names " + nobody + " twice"},
		"weight":   {assigner.ClientConfig{Brokers: []assigner.BrokerRef{{URL: nobody, Weight: -1}}}, "the weight of " + nobody + " is -1"},
		"endpoint": {assigner.ClientConfig{Brokers: []assigner.BrokerRef{{URL: "nowhere"}}}, "nowhere"},
		"patience": {assigner.ClientConfig{Broker: nobody, Patience: -1}, "Patience"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := assigner.Dial(limited(t), tc.cfg)
			require.ErrorContains(t, err, tc.says)
		})
	}
}

func TestCloseEndsOpensAtAllBrokers(t *testing.T) {
	c := dialAll(t, nil, nobody, "tcp://127.0.0.1:2")
	failed := make(chan error, 1)
	go func() {
		_, err := c.Open(context.Background(), "echo")
		failed <- err
	}()
	require.NoError(t, c.Close(limited(t)))
	require.ErrorIs(t, receive(t, failed, "the open's end"), assigner.ErrClosed)
}
