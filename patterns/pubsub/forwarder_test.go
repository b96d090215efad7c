package pubsub

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

func forwarder(t *testing.T, cfg ForwarderConfig) *Forwarder {
	t.Helper()
	cfg.Logger, cfg.Poison = quiet, true
	f, err := NewForwarder(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close(within(t))) })
	return f
}

// Two publishers on one endpoint: whoever subscribes there is known to both when Subscribe returns, and gaps are seen through the forwarder.
func TestForwarderMergesPublishers(t *testing.T) {
	a, b := publisher(t, PublisherConfig{History: 100}), publisher(t, PublisherConfig{Bind: []string{fmt.Sprintf("inproc://%p", t)}, History: 100})
	f := forwarder(t, ForwarderConfig{Connect: []string{a.Addrs()[0], b.Addrs()[0]}, Bind: []string{"ipc://" + filepath.Join(t.TempDir(), "feed")}})
	eventually(t, func() bool { return len(f.Stats().Connected) == 2 }, "both are connected")
	for i := range 10 {
		s := subscriber(t, SubscriberConfig{Gap: CatchUp, Queue: 10}, f.Addrs()...)
		topic := fmt.Sprint("NASDAQ", i)
		require.NoError(t, s.Subscribe(within(t), topic))
		require.NoError(t, a.Publish(topic, []byte("from a")))
		require.NoError(t, b.Publish(topic, []byte("from b")))
		got := map[string]bool{receive(t, s).Text(): true, receive(t, s).Text(): true}
		require.Equal(t, map[string]bool{"from a": true, "from b": true}, got)
		for k := range 15 {
			require.NoError(t, a.Publish(topic, fmt.Append(nil, k)))
		}
		require.NoError(t, s.Subscribe(within(t), "fence"))
		for k := range 10 {
			require.Equal(t, fmt.Sprint(k), receive(t, s).Text())
		}
		require.NoError(t, a.Publish(topic, []byte("15")))
		for k := 10; k < 16; k++ {
			require.Equal(t, fmt.Sprint(k), receive(t, s).Text(), "out of the history of the right one")
		}
		require.NoError(t, s.Close(within(t)))
	}
	require.NotZero(t, f.Stats().Requests)
}

// A publisher that is not there, or goes, holds nobody up as long as another one is.
func TestForwarderGoesOnWithoutOnePublisher(t *testing.T) {
	dir := t.TempDir()
	a := publisher(t, PublisherConfig{})
	late := "ipc://" + filepath.Join(dir, "late")
	f := forwarder(t, ForwarderConfig{Connect: []string{a.Addrs()[0], late}, Bind: []string{"tcp://127.0.0.1:0"}})
	s := subscriber(t, SubscriberConfig{}, f.Addrs()...)
	require.NoError(t, s.Subscribe(within(t), "t"))
	require.NoError(t, a.Publish("t", []byte("a")))
	require.Equal(t, "a", receive(t, s).Text())
	b := publisher(t, PublisherConfig{Bind: []string{late}})
	eventually(t, func() bool { return len(f.Stats().Connected) == 2 }, "the late one")
	require.NoError(t, s.Subscribe(within(t), "t2"))
	require.NoError(t, b.Publish("t", []byte("b")))
	require.Equal(t, "b", receive(t, s).Text(), "it knows of the earlier subscription, too")
}

// Plain publishers and plain subscribers at both ends.
func TestForwarderOfPlainPublishers(t *testing.T) {
	pub := plainSocket(t, zmqsock.Config{Kind: zmqsock.XPub})
	at, err := pub.Bind("tcp://127.0.0.1:0")
	require.NoError(t, err)
	f := forwarder(t, ForwarderConfig{Connect: []string{at}, Bind: []string{"tcp://127.0.0.1:0"}, Plain: true})
	sub := plainSocket(t, zmqsock.Config{Kind: zmqsock.Sub})
	require.NoError(t, sub.Subscribe("NASDAQ"))
	require.NoError(t, sub.Connect(f.Addrs()[0]))
	require.Equal(t, []string{"\x01NASDAQ"}, pub.receive(), "only what somebody wants is fetched")
	pub.send("NASDAQ 100")
	require.Equal(t, []string{"NASDAQ 100"}, sub.receive())
	ours := subscriber(t, SubscriberConfig{Plain: true}, f.Addrs()...)
	require.NoError(t, ours.SubscribePrefix(within(t), "DAX"))
	require.Equal(t, []string{"\x01DAX"}, pub.receive())
	pub.send("DAX", "7", "8")
	m := receive(t, ours)
	require.Equal(t, "DAX", m.Topic)
	require.Equal(t, [][]byte{[]byte("7"), []byte("8")}, m.Body)
}

// A subscriber that is too slow is named by the forwarder that it is connected to.
func TestForwarderNamesWhoLosesUpdates(t *testing.T) {
	a := publisher(t, PublisherConfig{})
	f := forwarder(t, ForwarderConfig{Connect: a.Addrs(), Bind: []string{"tcp://127.0.0.1:0"}})
	s := subscriber(t, SubscriberConfig{Queue: 5, Name: "small"}, f.Addrs()...)
	require.NoError(t, s.Subscribe(within(t), "t"))
	overrun(t, a, s, 50)
	eventually(t, func() bool {
		st := f.Stats()
		return len(st.Slow) == 1 && st.Slow[0].Name == "small" && st.Slow[0].Lost > 0
	}, "it is named")
}
