package bridge_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/bridge"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// plainPatience is a safety net only: no test waits for it to pass.
const plainPatience = 30 * time.Second

// plainWorld is an actor system, a ZeroMQ context and a bridge between them.
type plainWorld struct {
	testing.TB
	system *actor.ActorSystem
	ctx    *zmqsock.Context
	b      *bridge.Bridge
	dead   chan *actor.DeadLetterEvent
}

// newPlainWorld serves cfg (bound to a fresh inproc address unless it says otherwise) until the test ends; then everything must be gone.
func newPlainWorld(t testing.TB, cfg bridge.Config, plain bridge.PlainConfig) *plainWorld {
	t.Helper()
	return newPlainWorldOn(t, newPlainSystem(), cfg, plain)
}

func newPlainWorldOn(t testing.TB, system *actor.ActorSystem, cfg bridge.Config, plain bridge.PlainConfig) *plainWorld {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	w := openPlainWorld(t, system, cfg, plain)
	t.Cleanup(func() { plainAwait(t, "the context to end", func() { _ = w.ctx.Term() }) })
	t.Cleanup(w.close)
	return w
}

// openPlainWorld leaves it to the test to close the bridge and the context.
func openPlainWorld(t testing.TB, system *actor.ActorSystem, cfg bridge.Config, plain bridge.PlainConfig) *plainWorld {
	t.Helper()
	ctx, err := zmqsock.NewContext()
	require.NoError(t, err)
	w := &plainWorld{TB: t, ctx: ctx, system: system, dead: make(chan *actor.DeadLetterEvent, 10_000)}
	system.EventStream.Subscribe(func(event any) {
		if d, ok := event.(*actor.DeadLetterEvent); ok {
			select {
			case w.dead <- d:
			default: // more than any test looks at
			}
		}
	})
	cfg.System, cfg.Context, cfg.Poison = system, ctx, true
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Probe == 0 {
		cfg.Probe = time.Millisecond // inproc peers are found missing by probes
	}
	if plain.Bind == nil {
		plain.Bind = []string{plainInproc()}
	}
	w.b, err = bridge.Start(context.WithoutCancel(t.Context()), cfg, plain) // the cleanup closes it
	require.NoError(t, err)
	return w
}

func newPlainSystem() *actor.ActorSystem {
	return actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }),
		// The throttle keeps a goroutine for this long after a dead letter.
		actor.WithDeadLetterThrottleInterval(time.Microsecond),
	)
}

var plainNumber atomic.Uint64

func plainInproc() string {
	return "inproc://plain-" + string(rune('a'+plainNumber.Add(1)%26)) + time.Now().Format("150405.000000000")
}

// plainEndpoints is one address of each transport.
func plainEndpoints(t testing.TB) map[string]string {
	return map[string]string{
		"tcp":    "tcp://127.0.0.1:0",
		"ipc":    "ipc://" + filepath.Join(t.TempDir(), "s"),
		"inproc": plainInproc(),
	}
}

func (w *plainWorld) close() {
	ctx, cancel := context.WithTimeout(context.Background(), plainPatience)
	defer cancel()
	require.NoError(w, w.b.Close(ctx))
}

// plainNote is what an inbox has received.
type plainNote struct {
	message any
	sender  *actor.PID
}

// inbox spawns an actor that passes on all that is no lifecycle message.
func (w *plainWorld) inbox() (*actor.PID, chan plainNote) {
	c := make(chan plainNote, 10_000)
	pid := w.spawn(func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *actor.Started, *actor.Stopping, *actor.Stopped:
		case func(actor.Context):
			m(ctx)
		default:
			c <- plainNote{m, ctx.Sender()}
		}
	})
	return pid, c
}

// spawn spawns an actor that the test's end stops.
func (w *plainWorld) spawn(f actor.ReceiveFunc) *actor.PID {
	pid := w.system.Root.Spawn(actor.PropsFromFunc(f))
	w.Cleanup(func() { require.NoError(w, w.system.Root.StopFuture(pid).Wait()) })
	return pid
}

// register gives an inbox a name.
func (w *plainWorld) register(name string) (*actor.PID, chan plainNote) {
	pid, c := w.inbox()
	require.NoError(w, w.b.Register(name, pid))
	return pid, c
}

// in runs f in an inbox's actor and waits for it.
func (w *plainWorld) in(pid *actor.PID, f func(actor.Context)) {
	w.Helper()
	done := make(chan struct{})
	w.system.Root.Send(pid, func(ctx actor.Context) { f(ctx); close(done) })
	plainReceive(w, done, "the actor to run a function")
}

// onLoop runs f on the loop and waits for it.
func (w *plainWorld) onLoop(f func()) {
	w.Helper()
	done := make(chan struct{})
	require.True(w, w.b.Loop().Do(func() { f(); close(done) }))
	plainReceive(w, done, "the loop to run a function")
}

// settle waits until what was written before has been handed to libzmq: a turn of the loop sends after it has run functions.
func (w *plainWorld) settle() {
	w.Helper()
	w.onLoop(func() {})
	w.onLoop(func() {})
}

// mustFail asks a peer for something and expects that it fails, at once: the future itself would wait for ever.
func (w *plainWorld) mustFail(pid *actor.PID, message any) {
	w.Helper()
	_, err := w.system.Root.RequestFuture(pid, message, 2*plainPatience).Result()
	require.ErrorIs(w, err, actor.ErrDeadLetter)
}

// until waits for something that is counted on another goroutine.
func (w *plainWorld) until(what string, ok func() bool) {
	w.Helper()
	for deadline := time.Now().Add(plainPatience); !ok(); {
		require.True(w, time.Now().Before(deadline), "waited in vain for %s", what)
		w.onLoop(func() {})
	}
}

// plainAs is a value as what it must be.
func plainAs[T any](t testing.TB, v any) T {
	t.Helper()
	as, ok := v.(T)
	require.True(t, ok, "%T", v)
	return as
}

// plainReceive waits for the next value of c.
func plainReceive[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(plainPatience):
		require.FailNow(t, "nothing came", what)
		panic("unreachable")
	}
}

func plainAwait(t testing.TB, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	plainReceive(t, done, what)
}

// message waits for a Message in an inbox.
func (w *plainWorld) message(c <-chan plainNote, what string) (*bridge.Message, *actor.PID) {
	w.Helper()
	n := plainReceive(w, c, what)
	m, ok := n.message.(*bridge.Message)
	require.True(w, ok, "%s: %T", what, n.message)
	return m, n.sender
}

// plainDealer is a plain ZeroMQ peer. One goroutine at a time may use it.
type plainDealer struct {
	testing.TB
	sock   *zmqsock.Socket
	in     *zmqsock.In
	out    *zmqsock.Out
	poller *zmqsock.Poller
	wake   *zmqsock.Wake
	inbox  [][]string
	closed bool
}

// dial connects a DEALER with an identity, or one that libzmq makes up.
func (w *plainWorld) dial(addr, identity string) *plainDealer {
	return w.dialWith(addr, zmqsock.Config{Kind: zmqsock.Dealer, Identity: identity, Linger: time.Second, Heartbeat: -1})
}

func (w *plainWorld) dialWith(addr string, cfg zmqsock.Config) *plainDealer {
	w.Helper()
	d := &plainDealer{TB: w.TB, out: zmqsock.NewOut()}
	var err error
	d.sock, err = w.ctx.Open(cfg)
	require.NoError(w, err)
	require.NoError(w, w.ctx.Monitor(d.sock))
	require.NoError(w, d.sock.Connect(addr))
	d.in, err = zmqsock.NewIn(256)
	require.NoError(w, err)
	d.wake, err = zmqsock.NewWake()
	require.NoError(w, err)
	d.poller = zmqsock.NewPoller(d.wake)
	require.NoError(w, d.poller.Set([]*zmqsock.Socket{d.sock}))
	w.Cleanup(d.close)
	return d
}

// notices waits until libzmq has seen that the connection is lost: what is sent from then on goes to the next one, and is not lost with this one.
func (w *plainWorld) notices(d *plainDealer) {
	w.Helper()
	w.until("the loss of a connection", func() bool {
		return slices.ContainsFunc(d.sock.Events(nil), func(e zmqsock.Event) bool { return e.Kind == zmqsock.Disconnected })
	})
}

func (d *plainDealer) close() {
	if d.closed {
		return
	}
	d.closed = true
	require.NoError(d, d.sock.Close())
	d.in.Free()
	d.out.Free()
	require.NoError(d, d.wake.Close())
}

// send sends one message.
func (d *plainDealer) send(frames ...string) {
	d.Helper()
	d.out.Add(d.sock, nil, false)
	for _, f := range frames {
		d.out.Append([]byte(f))
	}
	require.Zero(d, d.out.Send(), "the peer's socket takes the message")
	d.out.Reset()
}

// recv waits for a message; the greetings of probes are left out.
func (d *plainDealer) recv() []string {
	d.Helper()
	for deadline := time.Now().Add(plainPatience); ; {
		if m := d.next(); m != nil {
			return m
		}
		require.True(d, time.Now().Before(deadline), "the peer heard nothing")
		require.NoError(d, d.poller.Wait(time.Second))
	}
}

// next returns a message that is there already, nil if there is none.
func (d *plainDealer) next() []string {
	for {
		if len(d.inbox) == 0 && !d.fetch() {
			return nil
		}
		m := d.inbox[0]
		d.inbox = d.inbox[1:]
		if len(m) != 1 || m[0] != "" {
			return m
		}
	}
}

func (d *plainDealer) fetch() bool {
	n, err := d.in.Recv(d.sock, 256, 0)
	require.NoError(d, err)
	for i := range n {
		var m []string
		for _, f := range d.in.Frames(i, nil) {
			m = append(m, string(f))
		}
		d.inbox = append(d.inbox, m)
	}
	d.in.Clear(true)
	return n > 0
}
