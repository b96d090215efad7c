package pubsub

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/internal/keytest"
)

func TestTopicsThatAreNone(t *testing.T) {
	p := publisher(t, PublisherConfig{MaxTopics: 2, MaxBody: 10})
	s := subscriber(t, SubscriberConfig{}, p.Addrs()...)
	for topic, want := range map[string]string{
		"": "empty", strings.Repeat("x", 256): "256 bytes", "\xfebeat": "0xfe", "\xffKNOW": "0xff", "a\x00b": "zero byte",
	} {
		require.Contains(t, is(t, p.Publish(topic), ErrBadTopic).Text, want)
		require.Contains(t, is(t, s.Subscribe(within(t), topic), ErrBadTopic).Text, want)
		if topic != "" {
			require.Contains(t, is(t, s.SubscribePrefix(within(t), topic), ErrBadTopic).Text, want)
			require.Contains(t, is(t, s.UnsubscribePrefix(topic), ErrBadTopic).Text, want)
		}
	}
	require.Contains(t, is(t, p.Publish("t", make([]byte, 11)), ErrTooLarge).Text, "11 bytes")
	require.Contains(t, is(t, p.Publish("t", make([][]byte, 61)...), ErrTooLarge).Text, "61 frames")
	require.NoError(t, p.Publish("one"))
	require.NoError(t, p.Publish("two"))
	is(t, p.Publish("three"), ErrTooManyTopics)
	require.EqualValues(t, 2, p.Stats().Published)
	require.NoError(t, s.Unsubscribe("never subscribed"))
}

// What makes no sense is counted, answered by nothing, and hurts nobody.
func TestMessagesThatMakeNoSense(t *testing.T) {
	p := publisher(t, PublisherConfig{History: 10})
	require.NoError(t, p.Publish("t"))
	evil := plainSocket(t, zmqsock.Config{Kind: zmqsock.XSub})
	require.NoError(t, evil.Connect(p.Addrs()[0]))
	bad := []string{
		"LOST", "LOST x", "LOST x -1", "LOST x 1 2", "LOST " + strings.Repeat("n", 65) + " 1", "hello",
		"\x01\xffKNOW", "\x01\xffKNOW\x00", "\x01\xffKNOWshort x\x00t", "\x01\xffPAST12345678 zz 1 2\x00t", "\x01\xffPAST12345678 1 0 2\x00t",
		"\x01\xffPAST12345678 1 3 2\x00t", "\x01\xffNONE12345678 x\x00t", "\x01\xff",
	}
	for _, frame := range bad {
		evil.send(frame)
	}
	eventually(t, func() bool { return p.Stats().Bad == uint64(len(bad)) }, "all are counted")
	evil.send("\x01\xffPAST12345678 1 1 2\x00t") // another publisher's
	evil.send("\x01" + strings.Repeat("long", 1000))
	s := subscriber(t, SubscriberConfig{}, p.Addrs()...)
	require.NoError(t, s.Subscribe(within(t), "t"))
	require.NoError(t, p.Publish("t", []byte("still here")))
	require.Equal(t, "still here", receive(t, s).Text())
}

// A publisher that is none, seen from a subscriber that expects one.
func TestAnswersThatMakeNoSense(t *testing.T) {
	evil := plainSocket(t, zmqsock.Config{Kind: zmqsock.XPub})
	at, err := evil.Bind("tcp://127.0.0.1:0")
	require.NoError(t, err)
	s := subscriber(t, SubscriberConfig{}, at)
	done := make(chan error, 1)
	ctx := within(t)
	go func() { done <- s.Subscribe(ctx, "t") }()
	var request string
	for request == "" {
		if said := evil.receive()[0]; strings.HasPrefix(said, "\x01\xff") {
			request = said[1:]
		}
	}
	h := func(kind byte) string { b := header{kind: kind, epoch: 1, seq: 1}.bytes(); return string(b[:]) }
	evil.send("t\x00")
	evil.send("t\x00no header")
	evil.send("t\x00" + strings.Replace(h(update), "TPS2", "TPS1", 1) + "x")
	evil.send("t\x00" + h(kept) + "x")
	evil.send("t\x00" + h(99) + "x")
	evil.send(request, h(value))
	evil.send(request, "no header", "x")
	eventually(t, func() bool { return s.Stats().Bad == 7 }, "all are counted")
	evil.send(request, h(known))
	require.NoError(t, <-done)
	evil.send(request, h(known)) // once more
	b := header{kind: update, epoch: 1, seq: 2}.bytes()
	evil.send("t\x00" + string(b[:]) + "good")
	require.Equal(t, "good", receive(t, s).Text())
}

func TestConfigsThatCannotBeUsed(t *testing.T) {
	for want, c := range map[string]PublisherConfig{
		"Bind is empty": {}, "History -1": {Bind: []string{"inproc://x"}, History: -1}, "Slow -1": {Bind: []string{"inproc://x"}, Slow: -1},
		"not a ZeroMQ endpoint": {Bind: []string{"tcp:/x"}}, "other machines can reach it": {Bind: []string{"tcp://0.0.0.0:0"}},
	} {
		_, err := NewPublisher(context.Background(), c)
		require.ErrorContains(t, err, want)
	}
	for want, c := range map[string]SubscriberConfig{
		"Connect is empty": {}, "Gap is 7": {Connect: []string{"inproc://x"}, Gap: 7}, "Plain publishers do not number": {},
		"Name \"a b\"": {Connect: []string{"inproc://x"}, Name: "a b"}, "Patience -1": {Connect: []string{"inproc://x"}, Patience: -1},
		"key:": {Connect: []string{"inproc://x"}, Access: Access{Key: "nonsense"}},
	} {
		if want == "Plain publishers do not number" {
			c, want = SubscriberConfig{Connect: []string{"inproc://x"}, Plain: true, Gap: CatchUp}, "plain publishers do not number"
		}
		_, err := NewSubscriber(context.Background(), c)
		require.ErrorContains(t, err, want)
	}
	_, err := NewForwarder(context.Background(), ForwarderConfig{Bind: []string{"inproc://x"}})
	require.ErrorContains(t, err, "at least one each")
	_, err = NewPublisher(context.Background(), PublisherConfig{Bind: []string{"tcp://0.0.0.0:0"}})
	var endpoint *zmqsock.EndpointError
	require.ErrorIs(t, err, ErrInsecure)
	require.True(t, errors.As(err, &endpoint))
	require.Contains(t, endpoint.Remedy, "troupe keys init")
}

// With keys only listed ones come in, for what they are listed for.
func TestOnlyListedKeysComeIn(t *testing.T) {
	ring := keytest.New(t)
	good := ring.Grant("good", "weather")
	p := publisher(t, PublisherConfig{Access: Access{Keys: ring.Path, Service: "weather"}})
	other := ring.Grant("other", "news")
	s := subscriber(t, SubscriberConfig{Access: Access{Key: good}}, p.Addrs()...)
	require.NoError(t, s.Subscribe(within(t), "w1"))
	require.NoError(t, p.Publish("w1", []byte("rain")))
	require.Equal(t, "rain", receive(t, s).Text())
	for _, key := range []string{other, ""} {
		out := subscriber(t, SubscriberConfig{Access: Access{Key: key}}, p.Addrs()...)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- out.Subscribe(ctx, "w1") }()
		require.NoError(t, p.Publish("w1", []byte("secret")))
		require.NoError(t, s.Subscribe(within(t), "fence"))
		cancel()
		is(t, <-done, ErrNoAnswer)
		require.Zero(t, out.Stats().Received)
	}
}

func TestAfterTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	p, err := NewPublisher(ctx, PublisherConfig{Bind: []string{"tcp://127.0.0.1:0"}, Logger: quiet})
	require.NoError(t, err)
	s, err := NewSubscriber(ctx, SubscriberConfig{Connect: p.Addrs(), Logger: quiet})
	require.NoError(t, err)
	require.NoError(t, s.Subscribe(within(t), "t"))
	require.NoError(t, p.Publish("t", []byte("left")))
	eventually(t, func() bool { return s.Stats().Waiting == 1 }, "it has come")
	cancel() // as by Ctrl-C
	<-p.Done()
	<-s.Done()
	is(t, p.Publish("t"), ErrClosed)
	is(t, s.Subscribe(within(t), "t"), ErrClosed)
	is(t, s.Unsubscribe("t"), ErrClosed)
	require.Equal(t, "left", receive(t, s).Text(), "what has come can still be received")
	_, err = s.Receive(within(t))
	is(t, err, ErrClosed)
	require.NoError(t, p.Close(within(t)))
	require.NoError(t, s.Close(within(t)))
	over, end := context.WithCancel(context.Background())
	end()
	_, err = s.Receive(over)
	require.Error(t, err)
}

// A mistake of our own ends the publisher, loudly, and nobody waits for it.
func TestMistakesOfOurOwnEndIt(t *testing.T) {
	p, err := NewPublisher(context.Background(), PublisherConfig{Bind: []string{"tcp://127.0.0.1:0"}, Logger: quiet})
	require.NoError(t, err)
	p.station.Do(func() { panic("a bug") })
	<-p.Done()
	require.ErrorContains(t, p.Publish("t"), "a bug")
	require.ErrorContains(t, p.Close(within(t)), "a mistake in itself")
}
