package assigner_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

// patience bounds every wait. It is a safety net: no test measures time by it.
const patience = 30 * time.Second

type services = map[string]assigner.Service

func limited(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func receive[T any](t testing.TB, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		require.FailNow(t, "waited in vain", "for %s", what)
		panic("not reached")
	}
}

// until waits for what announces itself by no event.
func until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	limit, tick := time.After(patience), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-limit:
			require.FailNow(t, "waited in vain", "until %s", what)
		}
	}
}

func startBroker(t testing.TB, change ...func(*assigner.BrokerConfig)) *assigner.Broker {
	t.Helper()
	free := []string{"tcp://127.0.0.1:0"}
	cfg := assigner.BrokerConfig{Clients: free, Workers: free, Logger: quiet(), Poison: true}
	for _, f := range change {
		f(&cfg)
	}
	b, err := assigner.NewBroker(cfg)
	require.NoError(t, err)
	require.NoError(t, b.Start(limited(t)))
	t.Cleanup(func() { require.NoError(t, b.Close(context.Background())) })
	return b
}

func startWorker(t testing.TB, endpoint string, s services, change ...func(*assigner.WorkerConfig)) *assigner.Worker {
	t.Helper()
	cfg := assigner.WorkerConfig{Broker: endpoint, Services: s, Logger: quiet()}
	for _, f := range change {
		f(&cfg)
	}
	w, err := assigner.NewWorker(cfg)
	require.NoError(t, err)
	require.NoError(t, w.Start(limited(t)))
	t.Cleanup(func() { _ = w.Close(limited(t)) })
	return w
}

func dial(t testing.TB, endpoint string, change ...func(*assigner.ClientConfig)) *assigner.Client {
	t.Helper()
	cfg := assigner.ClientConfig{Broker: endpoint, Logger: quiet()}
	for _, f := range change {
		f(&cfg)
	}
	c, err := assigner.Dial(limited(t), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close(limited(t)) })
	return c
}

// conductor is a broker that says what a test wants, when it wants it. It answers PING and nothing else.
type conductor struct {
	t        testing.TB
	loop     *bridge.Loop
	endpoint string
	heard    chan *wire.Message
}

func conduct(t testing.TB) *conductor {
	t.Helper()
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet() }), actor.WithDeadLetterThrottleInterval(time.Nanosecond))
	c := &conductor{t: t, heard: make(chan *wire.Message, 1024)}
	keeper := system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		if m, ok := ctx.Message().(*wire.Message); ok {
			c.heard <- m
		}
	}))
	var err error
	c.loop, err = bridge.New(bridge.Config{System: system, Logger: quiet(), Poison: true})
	require.NoError(t, err)
	all := make([]wire.Type, 255)
	for i := range all {
		all[i] = wire.Type(i)
	}
	ep, err := c.loop.Open(bridge.EndpointConfig{Bind: []string{"tcp://127.0.0.1:0"}, Keeper: keeper, OffLoop: true, Accept: all})
	require.NoError(t, err)
	c.endpoint = ep.Addrs()[0]
	served := make(chan error, 1)
	go func() { served <- c.loop.Serve(context.Background()) }()
	t.Cleanup(func() {
		require.NoError(t, c.loop.Close(context.Background()))
		require.NoError(t, <-served)
		require.NoError(t, system.Root.StopFuture(keeper).Wait())
	})
	return c
}

// line is a message to say.
type line struct {
	head wire.Header
	body [][]byte
}

func say(h wire.Header, body ...string) line {
	l := line{head: h}
	for _, b := range body {
		l.body = append(l.body, []byte(b))
	}
	return l
}

// say sends lines to a peer, in one batch.
func (c *conductor) say(to wire.Peer, lines ...line) {
	c.t.Helper()
	failed := make(chan error, len(lines))
	require.True(c.t, c.loop.Do(func() {
		for _, l := range lines {
			failed <- c.loop.Outbox().Send(to, l.head, l.body...)
		}
	}))
	for range lines {
		require.NoError(c.t, receive(c.t, failed, "the message to be sent"))
	}
}

// hear returns the next message, which must be of this type.
func (c *conductor) hear(want wire.Type) *wire.Message {
	c.t.Helper()
	m := receive(c.t, c.heard, want.String())
	require.Equal(c.t, want, m.Header.Type, "%v", m)
	return m
}

// settle returns what a peer says until it has taken all that was said to it before.
func (c *conductor) settle(peer wire.Peer, mark uint32) []*wire.Message {
	c.t.Helper()
	c.say(peer, say(wire.Header{Type: wire.Ping, Arg: mark}))
	var said []*wire.Message
	for {
		m := receive(c.t, c.heard, "PONG")
		if m.Header.Type == wire.Pong && m.Header.Arg == mark {
			return said
		}
		said = append(said, m)
	}
}

func welcome(incarnation string) line {
	return line{head: wire.Header{Type: wire.Welcome}, body: [][]byte{wire.JSON(wire.WelcomeInfo{
		Broker: "b", Incarnation: incarnation, MaxBody: 1 << 20, Window: 4 << 20, HeartbeatMS: 1000,
	})}}
}

// worker starts a worker, registers it, and returns the connection.
func (c *conductor) worker(s services, change ...func(*assigner.WorkerConfig)) (*assigner.Worker, wire.Peer) {
	c.t.Helper()
	w := startWorker(c.t, c.endpoint, s, change...)
	m := c.hear(wire.Ready)
	c.say(m.From, welcome("one"))
	receive(c.t, w.Welcomed(), "the worker's welcome")
	return w, m.From
}
