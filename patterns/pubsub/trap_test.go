package pubsub

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// Subscriptions of ZeroMQ are prefixes. Topics here end.
func TestTopicW1NeverMatchesW10(t *testing.T) {
	for name, at := range transports(t) {
		t.Run(name, func(t *testing.T) {
			p := publisher(t, PublisherConfig{Bind: []string{at}})
			s := subscriber(t, SubscriberConfig{}, p.Addrs()...)
			require.NoError(t, s.Subscribe(within(t), "w1"))
			for _, topic := range []string{"w10", "w", "w11", "w1"} {
				require.NoError(t, p.Publish(topic, []byte(topic), []byte("second")))
			}
			m := receive(t, s)
			require.Equal(t, "w1", m.Topic)
			require.Equal(t, [][]byte{[]byte("w1"), []byte("second")}, m.Body)
			require.Zero(t, m.Missed)
			require.NoError(t, s.SubscribePrefix(within(t), "w1"))
			require.NoError(t, p.Publish("w10", nil))
			require.Equal(t, "w10", receive(t, s).Topic)
			require.NoError(t, s.UnsubscribePrefix("w1"))
			require.NoError(t, s.Subscribe(within(t), "end"))
			require.NoError(t, p.Publish("w10", nil))
			require.NoError(t, p.Publish("w1", nil))
			m = receive(t, s)
			require.Equal(t, "w1", m.Topic, "the other subscription stays")
			require.EqualValues(t, 2, m.Seq)
		})
	}
}

// The slow joiner: plain subscribers miss what is published before their subscription has arrived, however long they wait.
func TestNobodyJoinsTooLate(t *testing.T) {
	for name, at := range transports(t) {
		t.Run(name, func(t *testing.T) {
			p := publisher(t, PublisherConfig{Bind: []string{at}})
			for i := range 30 {
				s := subscriber(t, SubscriberConfig{}, p.Addrs()...)
				require.NoError(t, s.Subscribe(within(t), "news"))
				require.NoError(t, p.Publish("news", fmt.Append(nil, i)))
				m := receive(t, s)
				require.Equal(t, fmt.Sprint(i), m.Text())
				require.EqualValues(t, i+1, m.Seq)
				require.NoError(t, s.Close(within(t)))
			}
		})
	}
}

// The order in which the two start does not matter.
func TestSubscriberStartsBeforeItsPublisher(t *testing.T) {
	at := "ipc://" + filepath.Join(t.TempDir(), "s")
	s := subscriber(t, SubscriberConfig{}, at)
	done := make(chan error, 1)
	ctx := within(t)
	go func() { done <- s.Subscribe(ctx, "news") }()
	p := publisher(t, PublisherConfig{Bind: []string{at}})
	require.NoError(t, <-done)
	require.NoError(t, p.Publish("news", []byte("first")))
	require.Equal(t, "first", receive(t, s).Text())
}

// Without a subscription nothing comes, and nobody forgets it: there is no Receive that could hang for a subscription that was never made unnoticed.
func TestOnlyWhatWasSubscribedComes(t *testing.T) {
	p := publisher(t, PublisherConfig{})
	s := subscriber(t, SubscriberConfig{}, p.Addrs()...)
	require.NoError(t, s.Subscribe(within(t), "b"))
	require.NoError(t, p.Publish("a", []byte("unwanted")))
	require.NoError(t, p.Publish("b", []byte("wanted")))
	require.Equal(t, "wanted", receive(t, s).Text())
	require.Zero(t, s.Stats().Waiting)
}

// Sending on a SUB and receiving on a PUB are errors at run time; here there is nothing to call.
func TestNobodyCanSendOnASubscriber(t *testing.T) {
	for _, bad := range []string{"Publish", "Send"} {
		_, has := reflect.TypeFor[*Subscriber]().MethodByName(bad)
		require.False(t, has)
	}
	for _, bad := range []string{"Receive", "Subscribe"} {
		_, has := reflect.TypeFor[*Publisher]().MethodByName(bad)
		require.False(t, has)
	}
}

// A subscriber that nobody answers hears who has not, and what may be the reason.
func TestSubscribeNamesWhoDoesNotAnswer(t *testing.T) {
	pub := plainSocket(t, zmqsock.Config{Kind: zmqsock.Pub})
	silent, err := pub.Bind("tcp://127.0.0.1:0")
	require.NoError(t, err)
	p := publisher(t, PublisherConfig{})
	s := subscriber(t, SubscriberConfig{}, p.Addrs()[0], silent)
	eventually(t, func() bool { return s.Stats().Publishers[1].Connected }, "the connection")
	ctx, cancel := context.WithCancelCause(context.Background())
	over := fmt.Errorf("over")
	w := make(chan error, 1)
	go func() { w <- s.Subscribe(ctx, "news") }()
	eventually(t, func() bool { return p.Stats().Requests == 1 }, "the other one's answer")
	cancel(over)
	e := is(t, <-w, ErrNoAnswer)
	require.ErrorIs(t, e, over)
	require.Contains(t, e.Text, silent)
	require.Contains(t, e.Text, "plain publisher")
}

// A publisher waits for nobody, and keeps nothing for a subscriber that never reads; it is named, and others are unharmed.
func TestSubscriberThatNeverReads(t *testing.T) {
	for _, disconnect := range []bool{false, true} {
		t.Run(fmt.Sprint("disconnect ", disconnect), func(t *testing.T) {
			p := publisher(t, PublisherConfig{Queue: 10, Slow: 40 * 1e6, Disconnect: disconnect})
			good := subscriber(t, SubscriberConfig{Name: "good"}, p.Addrs()...)
			require.NoError(t, good.Subscribe(within(t), "news"))
			bad := plainSocket(t, zmqsock.Config{Kind: zmqsock.Sub, RecvHWM: 10})
			require.NoError(t, bad.Subscribe("news\x00"))
			require.NoError(t, bad.Subscribe("\xffKNOW12345678 bad\x00none\x00"))
			require.NoError(t, bad.Connect(p.Addrs()[0]))
			eventually(t, func() bool { return len(p.Stats().Subscribers) == 2 }, "both are known")
			body := make([]byte, 64<<10)
			slow := func() bool { s := p.Stats().Slow; return len(s) > 0 && s[0].For > 0 }
			eventually(t, func() bool {
				require.NoError(t, p.Publish("news", body))
				require.Zero(t, receive(t, good).Missed)
				return slow() || p.Stats().Disconnected > 0
			}, "the slow one is noticed")
			if !disconnect {
				require.Equal(t, "bad", p.Stats().Slow[0].Name)
				require.Positive(t, p.Stats().Slow[0].Waiting)
			}
		})
	}
}

// A publisher that sends more than its subscriber takes drops answers as well as updates: Subscribe asks again, and is answered in a lull.
func TestSubscribeInAFlood(t *testing.T) {
	pub, err := NewPublisher(t.Context(), PublisherConfig{Bind: []string{"tcp://127.0.0.1:0"}, Queue: 2, Logger: quiet})
	require.NoError(t, err)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = pub.Publish("flood", make([]byte, 1000)) // it does not end before
			}
		}
	}()
	f := forwarder(t, ForwarderConfig{Connect: pub.Addrs(), Bind: []string{"tcp://127.0.0.1:0"}, Queue: 2})
	for name, at := range map[string][]string{"publisher": pub.Addrs(), "forwarder": f.Addrs()} {
		t.Run(name, func(t *testing.T) {
			for range 5 {
				s := subscriber(t, SubscriberConfig{Queue: 1}, at...)
				require.NoError(t, s.SubscribePrefix(within(t), ""))
				require.NoError(t, s.Close(within(t)))
			}
		})
	}
	close(stop)
	<-stopped
	require.NoError(t, pub.Close(within(t)))
}

// docs/patterns.md: "the first frame of the body follows the header at once". A body may have no frame, an empty one, or many.
func TestBodiesOfAllShapes(t *testing.T) {
	p := publisher(t, PublisherConfig{LastValue: true})
	s := subscriber(t, SubscriberConfig{}, p.Addrs()...)
	ctx := within(t)
	require.NoError(t, s.Subscribe(ctx, "t"))
	shapes := [][][]byte{{}, {{}}, {[]byte("one")}, {[]byte("one"), {}, []byte("\x00three")}, {{}, []byte("two")}, {make([]byte, 100_000)}}
	for _, body := range shapes {
		require.NoError(t, p.Publish("t", body...))
	}
	for _, body := range shapes {
		require.Equal(t, body, receive(t, s).Body)
	}
	late := subscriber(t, SubscriberConfig{}, p.Addrs()...)
	require.NoError(t, late.Subscribe(ctx, "t"))
	require.Equal(t, shapes[len(shapes)-1], receive(t, late).Body)
	plain := plainSocket(t, zmqsock.Config{Kind: zmqsock.XSub})
	require.NoError(t, plain.Connect(p.Addrs()[0]))
	plain.send("\x01t\x00")
	eventually(t, func() bool { // until the subscription is known
		require.NoError(t, p.Publish("t", []byte("a"), []byte("b")))
		n, err := plain.in.Recv(plain.Socket, 1, 0)
		require.NoError(t, err)
		return n == 1
	}, "an update")
	var got []string
	for _, f := range plain.in.Frames(0, nil) {
		got = append(got, string(f))
	}
	plain.in.Clear(true)
	require.Len(t, got, 2)
	require.Equal(t, "t\x00TPS2\x01\x00\x00\x00", got[0][:10])
	require.Equal(t, "a", got[0][2+headerLen:])
	require.Equal(t, "b", got[1])
}
