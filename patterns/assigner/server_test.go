package assigner_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

func serverConfig(name string, slots int) assigner.ServerConfig {
	return assigner.ServerConfig{
		Broker: assigner.BrokerConfig{Name: name, Clients: []string{"tcp://127.0.0.1:0"}, Logger: quiet()},
		Worker: assigner.WorkerConfig{Slots: slots, Services: services{"echo": {Handler: echoBack}}},
	}
}

func startServer(t testing.TB, cfg assigner.ServerConfig) *assigner.Server {
	t.Helper()
	s, err := assigner.NewServer(cfg)
	require.NoError(t, err)
	require.NoError(t, s.Start(limited(t)))
	t.Cleanup(func() { require.NoError(t, s.Close(limited(t))) })
	return s
}

// One client uses many servers, each of which is its own broker, without one in their middle.
func TestOneClientManyServers(t *testing.T) {
	var urls []string
	for _, name := range []string{"a", "b", "c"} {
		urls = append(urls, startServer(t, serverConfig(name, 10)).ClientEndpoints()...)
	}
	c := dialAll(t, nil, urls...)
	registered(t, c, 3)
	at := map[string]int{}
	for range 30 {
		h, err := c.Open(limited(t), "echo")
		require.NoError(t, err)
		require.NotZero(t, h.Thread(), "a thread of its own")
		at[h.Worker()]++
	}
	require.Equal(t, map[string]int{"a": 10, "b": 10, "c": 10}, at)
}

// When Start returns the server's threads are there: the first call needs no patience.
func TestServerServesOnceItHasStarted(t *testing.T) {
	s := startServer(t, serverConfig("s", 1))
	c := dialAll(t, nil, s.ClientEndpoints()...)
	reply, err := c.Do(limited(t), "echo", []byte("x"))
	require.NoError(t, err)
	require.Equal(t, "x", string(reply))
	h, err := c.Open(limited(t), "echo")
	require.NoError(t, err)
	until(t, "the hit's slot is used", func() bool { return s.Busy() == 1 })
	require.NoError(t, h.Close(limited(t)))
	require.NoError(t, s.Drain(limited(t)))
}

func TestServerServesUntilItsContextEnds(t *testing.T) {
	cfg := serverConfig("s", 1)
	cfg.Broker.Clients = []string{"inproc://server-that-serves"}
	s, err := assigner.NewServer(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	c, err := assigner.Dial(limited(t), assigner.ClientConfig{Broker: "inproc://server-that-serves", Logger: quiet()})
	require.NoError(t, err)
	_, err = c.Do(limited(t), "echo", nil)
	require.NoError(t, err)
	require.NoError(t, c.Close(limited(t)))
	cancel()
	require.NoError(t, receive(t, served, "the server's end"))
}

func TestMistakesInServers(t *testing.T) {
	broker, key, services := serverConfig("s", 1), serverConfig("s", 1), serverConfig("s", 1)
	broker.Worker.Broker = "tcp://127.0.0.1:1"
	key.Worker.Key = "troupe1-x"
	services.Worker.Services = nil
	insecure := serverConfig("s", 1)
	insecure.Broker.Clients = []string{"tcp://0.0.0.0:0"}
	for name, tc := range map[string]struct {
		cfg  assigner.ServerConfig
		says string
	}{
		"broker": {broker, "the worker serves the server's own broker"}, "key": {key, "leave them out"},
		"services": {services, "WorkerConfig.Services is empty"}, "insecure": {insecure, "other machines can reach it"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := assigner.NewServer(tc.cfg)
			require.ErrorContains(t, err, tc.says)
		})
	}
}
