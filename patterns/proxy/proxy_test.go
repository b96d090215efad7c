package proxy

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/pubsub"
	"github.com/troupe-mq/troupe/patterns/reqrep"
)

// Clients know the proxy only, and servers come and go behind it.
func TestRequestsThroughAQueue(t *testing.T) {
	var servers []*reqrep.Server
	var back []string
	for range 2 {
		s, err := reqrep.NewServer(context.Background(), reqrep.ServerConfig{
			Bind: []string{"tcp://127.0.0.1:0"}, Logger: quiet,
			Handler: func(_ context.Context, r *reqrep.Request) ([][]byte, error) { return r.Body, nil },
		})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close(within(t))) })
		servers, back = append(servers, s), append(back, s.Addrs()...)
	}
	for name, at := range map[string]string{"tcp": "tcp://127.0.0.1:0", "ipc": "ipc://" + t.TempDir() + "/q", "inproc": fmt.Sprintf("inproc://q%p", t)} {
		t.Run(name, func(t *testing.T) {
			p := newProxy(t, Config{Kind: Queue, Front: Side{Bind: []string{at}}, Back: Side{Connect: back}})
			c, err := reqrep.NewClient(context.Background(), reqrep.ClientConfig{Connect: p.FrontAddrs(), Logger: quiet, Timeout: patience})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, c.Close(within(t))) })
			body := []byte(strings.Repeat("x", 1000))
			for i := range 100 {
				answer, err := c.Call(within(t), strconv.AppendInt(nil, int64(i), 10), body)
				require.NoError(t, err)
				require.Equal(t, [][]byte{strconv.AppendInt(nil, int64(i), 10), body}, answer)
			}
			eventually(t, func() bool { return p.Stats().FromBack.Sent == 100 && p.Stats().FromFront.Sent == 100 }, "all are counted")
			require.Greater(t, p.Stats().FromFront.Bytes, uint64(100_000))
		})
	}
	for _, s := range servers {
		require.Positive(t, s.Stats().Requests, "each has its turn")
	}
}

// Subscriptions go one way and updates the other, the handshake of package pubsub included.
func TestUpdatesThroughAForwarder(t *testing.T) {
	pub, err := pubsub.NewPublisher(context.Background(), pubsub.PublisherConfig{Bind: []string{"tcp://127.0.0.1:0"}, Logger: quiet})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pub.Close(within(t))) })
	p := newProxy(t, Config{Kind: Forwarder, Front: Side{Connect: pub.Addrs()}, Back: local()})
	for i := range 3 {
		sub, err := pubsub.NewSubscriber(context.Background(), pubsub.SubscriberConfig{Connect: p.BackAddrs(), Logger: quiet})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, sub.Close(within(t))) })
		require.NoError(t, sub.Subscribe(within(t), "news"))
		require.NoError(t, pub.Publish("other", nil))
		require.NoError(t, pub.Publish("news", []byte("first")))
		m, err := sub.Receive(within(t))
		require.NoError(t, err)
		require.Equal(t, "first", m.Text())
		require.EqualValues(t, i+1, m.Seq)
	}
	require.Positive(t, p.Stats().FromBack.Messages, "subscriptions")
}

// What nobody takes waits, here and with the sender, and comes whole and in order.
func TestTasksThatNobodyTakesWait(t *testing.T) {
	p := newProxy(t, Config{Kind: Streamer, Front: local(), Back: local(), Queue: 10})
	push := newPlain(t, zmqsock.Push, p.FrontAddrs()[0])
	long := strings.Repeat("x", 32<<10)
	sent := 0
	send := func() bool { return push.send(strconv.Itoa(sent), long, "") == 0 }
	eventually(t, send, "the connection")
	sent = 1
	eventually(t, func() bool { return p.Stats().FromFront.Messages == 1 }, "it has come")
	for full := time.Now().Add(100 * time.Millisecond); time.Now().Before(full); { // more only makes it harder
		if send() {
			sent++
		}
	}
	require.Less(t, sent, 2000, "the sender has to wait: nothing grows without bounds")
	require.Zero(t, p.Stats().FromFront.Sent)
	pull := newPlain(t, zmqsock.Pull, p.BackAddrs()[0])
	for i := range sent {
		require.Equal(t, []string{strconv.Itoa(i), long, ""}, pull.receive())
	}
	eventually(t, func() bool { return p.Stats().FromFront.Sent == uint64(sent) }, "all are counted")
	require.Zero(t, p.Stats().FromFront.Dropped)
}

func TestPauseAndResume(t *testing.T) {
	p := newProxy(t, Config{Kind: Streamer, Front: local(), Back: local()})
	push, pull := newPlain(t, zmqsock.Push, p.FrontAddrs()[0]), newPlain(t, zmqsock.Pull, p.BackAddrs()[0])
	for round := range 3 {
		require.NoError(t, p.Pause())
		require.True(t, p.Stats().Paused)
		eventually(t, func() bool { return push.send(fmt.Sprint(round)) == 0 }, "a task is sent")
		require.EqualValues(t, round, p.Stats().FromFront.Messages)
		require.NoError(t, p.Resume())
		require.Equal(t, []string{fmt.Sprint(round)}, pull.receive())
	}
	require.NoError(t, p.Close(within(t)))
	require.ErrorIs(t, p.Pause(), ErrClosed)
}

func TestCaptureSeesBothDirections(t *testing.T) {
	p := newProxy(t, Config{Kind: Queue, Front: local(), Back: local(), Capture: []string{"tcp://127.0.0.1:0"}})
	tap, deaf := newPlain(t, zmqsock.Sub, p.CaptureAddrs()[0]), newPlain(t, zmqsock.Sub, p.CaptureAddrs()[0])
	require.NoError(t, tap.sock.Subscribe(""))
	require.NoError(t, deaf.sock.Subscribe("")) // and never reads: it slows nobody
	req, rep := newPlain(t, zmqsock.Req, p.FrontAddrs()[0]), newPlain(t, zmqsock.Rep, p.BackAddrs()[0])
	ask := func(text string) {
		require.Zero(t, req.send(text))
		require.Equal(t, []string{text}, rep.receive())
		require.Zero(t, rep.send("answer to "+text))
		require.Equal(t, []string{"answer to " + text}, req.receive())
	}
	seen := func() bool {
		n, err := tap.in.Recv(tap.sock, 1, 0)
		require.NoError(t, err)
		tap.in.Clear(true)
		return n > 0
	}
	eventually(t, func() bool { ask("are you there"); return seen() }, "the capture has joined")
	ask("question")
	for {
		if m := tap.receive(); m[0] == "front" && m[3] == "question" {
			break
		}
	}
	m := tap.receive()
	require.Equal(t, "back", m[0])
	require.Equal(t, []string{"", "answer to question"}, m[2:])
	long := strings.Repeat("x", 10_000)
	for range 200 {
		ask(long)
	}
}

// An answer for a client that has gone is counted, and harms nobody.
func TestAnswerForWhoHasGone(t *testing.T) {
	p := newProxy(t, Config{Kind: Queue, Front: local(), Back: local()})
	gone, rep := newPlain(t, zmqsock.Dealer, p.FrontAddrs()[0]), newPlain(t, zmqsock.Dealer, p.BackAddrs()[0])
	require.Zero(t, gone.send("", "question"))
	m := rep.receive()
	gone.close()
	eventually(t, func() bool {
		sent := p.Stats().FromBack.Messages
		if rep.send(m[0], "", "answer") > 0 {
			return false // its queue is full for a moment
		}
		eventually(t, func() bool { return p.Stats().FromBack.Messages > sent }, "it is taken")
		return p.Stats().FromBack.Dropped > 0
	}, "it is counted")
	eventually(t, func() bool { return rep.send("nonsense") == 0 }, "there is room")
	eventually(t, func() bool { return p.Stats().FromBack.Bad == 1 }, "it is counted")
	req := newPlain(t, zmqsock.Req, p.FrontAddrs()[0])
	require.Zero(t, req.send("fine"))
	require.Equal(t, "fine", rep.receive()[2])
}

func TestMessageOfTooManyFramesIsNotForwardedInPart(t *testing.T) {
	p := newProxy(t, Config{Kind: Streamer, Front: local(), Back: local()})
	push, pull := newPlain(t, zmqsock.Push, p.FrontAddrs()[0]), newPlain(t, zmqsock.Pull, p.BackAddrs()[0])
	eventually(t, func() bool { return push.send(make([]string, 65)...) == 0 }, "it is sent")
	require.Zero(t, push.send("fine"))
	require.Equal(t, []string{"fine"}, pull.receive())
	require.EqualValues(t, 1, p.Stats().FromFront.Bad)
}

// A control socket speaks the words of zmq_proxy_steerable; here to Python.
func TestControlFromPython(t *testing.T) {
	p := newProxy(t, Config{Kind: Queue, Front: local(), Back: local(), Control: []string{"tcp://127.0.0.1:0"}})
	out := python(t, `
import json, sys, zmq
context = zmq.Context()
control = context.socket(zmq.REQ)
control.connect(sys.argv[1])
def say(*words):
    control.send_multipart([w.encode() for w in words])
    return control.recv().decode()
assert say("PAUSE") == "OK"
assert json.loads(say("STATISTICS"))["paused"]
assert say("RESUME") == "OK"
assert say("STOP").startswith("ERROR: unknown command")
assert say("PAUSE", "RESUME").startswith("ERROR: a command is one frame")
stats = json.loads(say("STATISTICS"))
assert not stats["paused"] and stats["from_front"]["messages"] == 0
print(stats["kind"], say("TERMINATE"))
context.destroy(linger=0)
`, p.ControlAddrs()[0])()
	require.Equal(t, "queue OK\n", out)
	<-p.Done()
	require.NoError(t, p.Close(within(t)))
}

func TestEndOfTheContextEndsTheProxy(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	p, err := New(ctx, Config{Kind: Streamer, Front: local(), Back: local(), Logger: quiet})
	require.NoError(t, err)
	require.NoError(t, p.Pause())
	cancel() // Ctrl-C
	<-p.Done()
	require.NoError(t, p.Close(within(t)))
}

func TestConfigIsChecked(t *testing.T) {
	open := Side{Bind: []string{"tcp://0.0.0.0:1"}}
	for want, cfg := range map[string]Config{
		"Kind is 0": {Front: local(), Back: local()}, "Front has no": {Kind: Queue, Back: local()}, "Back has no": {Kind: Queue, Front: local()},
		"Queue -1": {Kind: Queue, Front: local(), Back: local(), Queue: -1}, "insist with Insecure": {Kind: Queue, Front: open, Back: local()},
	} {
		_, err := New(context.Background(), cfg)
		require.ErrorContains(t, err, want)
	}
	_, err := New(context.Background(), Config{Kind: Queue, Front: local(), Back: local(), Control: open.Bind})
	require.ErrorIs(t, err, ErrInsecure)
}
