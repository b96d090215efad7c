package bridge

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// patience is the safety net of every wait: no test passes because of it.
const patience = 30 * time.Second

// world is a loop with one ROUTER and a keeper, and all that talks to it.
type world struct {
	*testing.T
	system *actor.ActorSystem
	ctx    *zmqsock.Context
	loop   *Loop
	ep     *Endpoint
	keeper *actor.PID
	heard  chan any // what the keeper was told: copies of messages, *wire.PeerGone
	served chan error
	stop   func()
	over   bool
	// act is what the keeper does besides, on the loop.
	act func(m any)
}

var allTypes = []wire.Type{
	wire.Hello, wire.Ready, wire.Open, wire.Call, wire.Cancel, wire.Close, wire.Ping, wire.Pong, wire.Credit, wire.Bye, wire.Error,
	wire.Opened, wire.Reply, wire.Working, wire.Ended, wire.Welcome, wire.Closed, wire.Begin, wire.End,
}

// toBroker are the types that a ROUTER of the tests takes.
var toBroker = []wire.Type{wire.Hello, wire.Ready, wire.Open, wire.Call, wire.Cancel, wire.Ping, wire.Pong, wire.Credit, wire.Reply, wire.Error}

// perPath runs a test over the batch shim and over the binding's per-frame calls.
func perPath(t *testing.T, test func(t *testing.T, cfg Config)) {
	t.Run("batch", func(t *testing.T) { test(t, Config{}) })
	t.Run("per-frame", func(t *testing.T) { test(t, Config{PerFrame: true}) })
}

// newWorld serves a loop with a ROUTER at an address until the test ends; then nothing must be left.
func newWorld(t *testing.T, cfg Config, at string, hangUp bool) *world {
	t.Helper()
	w := emptyWorld(t, cfg)
	ep, err := w.loop.Open(EndpointConfig{Bind: []string{at}, Keeper: w.keeper, Accept: toBroker, HangUp: hangUp})
	require.NoError(t, err)
	w.ep = ep
	w.serve()
	return w
}

// emptyWorld has a loop without endpoints that is not served yet. Its keeper welcomes whoever greets.
func emptyWorld(t *testing.T, cfg Config) *world {
	t.Helper()
	ctx, err := zmqsock.NewContext()
	require.NoError(t, err)
	w := &world{T: t, ctx: ctx, heard: make(chan any, 1<<16), served: make(chan error, 1)}
	w.system = actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }),
		actor.WithDeadLetterThrottleInterval(time.Microsecond))
	cfg.System, cfg.Context, cfg.Poison, cfg.Logger = w.system, ctx, true, slog.New(slog.DiscardHandler)
	w.loop, err = New(cfg)
	require.NoError(t, err)
	w.keeper = w.spawn(w.keep)
	w.stop = func() {
		within, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, w.loop.Close(within))
	}
	t.Cleanup(w.end)
	return w
}

// end ends loop, actors and context; nothing is left open then. The sockets at the other end must be closed.
func (w *world) end() {
	w.Helper()
	if w.over {
		return
	}
	w.over = true
	w.stop()
	w.system.Shutdown()
	ended := make(chan error, 1)
	go func() { ended <- w.ctx.Term() }()
	require.NoError(w, receive(w, ended, "the context's end"))
}

// serve runs the loop, and returns when it does.
func (w *world) serve() {
	defer w.onLoop(func() {})
	go func() { w.served <- w.loop.Serve(context.Background()) }()
	stop := w.stop
	w.stop = func() {
		stop()
		require.NoError(w, receive(w, w.served, "the loop's end"))
		w.stop = func() {}
	}
}

func (w *world) keep(c actor.Context) {
	switch m := c.Message().(type) {
	case *wire.Message:
		copied := m.Copy()
		if w.act != nil {
			w.act(m)
		}
		if m.Header.Type == wire.Hello || m.Header.Type == wire.Ready {
			w.welcome(m)
		}
		w.heard <- copied
	case *wire.PeerGone:
		w.heard <- m
		if w.act != nil {
			w.act(m)
		}
	}
}

func (w *world) welcome(m *wire.Message) {
	hello, err := wire.ParseHello(m.Frame(0))
	require.NoError(w, err)
	info := wire.WelcomeInfo{Incarnation: "1", Window: w.loop.Window(m.From, hello.Window)}
	_ = w.loop.Outbox().Send(m.From, wire.Header{Type: wire.Welcome}, wire.JSON(info))
}

// spawn starts an actor on the loop, with a mailbox that holds leases.
func (w *world) spawn(f actor.ReceiveFunc) *actor.PID {
	return w.system.Root.Spawn(actor.PropsFromFunc(f, actor.WithDispatcher(w.loop.Dispatcher()),
		actor.WithMailbox(func() actor.Mailbox { return leaseBox{actor.Unbounded()()} })))
}

// leaseBox holds a lease on what waits in it, as the mailboxes of package host do.
type leaseBox struct{ actor.Mailbox }

func (b leaseBox) PostUserMessage(message any) {
	if m, ok := message.(*wire.Message); ok {
		m.Retain()
	}
	b.Mailbox.PostUserMessage(message)
}

func (b leaseBox) RegisterHandlers(i actor.MessageInvoker, d actor.Dispatcher) {
	b.Mailbox.RegisterHandlers(letsGo{i}, d)
}

type letsGo struct{ actor.MessageInvoker }

func (i letsGo) InvokeUserMessage(message any) {
	i.MessageInvoker.InvokeUserMessage(message)
	if m, ok := message.(*wire.Message); ok {
		m.Release()
	}
}

// receive takes from a channel, or fails.
func receive[T any](w testing.TB, c <-chan T, what string) T {
	w.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		require.Fail(w, "did not come: "+what)
		panic("not reached")
	}
}

// onLoop runs fn in a turn of the loop, which waits for it: fn may do what belongs to the loop, and may fail the test.
func (w *world) onLoop(fn func()) {
	w.Helper()
	begun, done := make(chan struct{}), make(chan struct{})
	require.True(w, w.loop.Do(func() { close(begun); <-done }))
	receive(w, begun, "a turn of the loop")
	defer close(done)
	fn()
}

// message waits until the keeper is told a message.
func (w *world) message(t wire.Type) *wire.Message {
	w.Helper()
	told := receive(w, w.heard, t.String())
	m, ok := told.(*wire.Message)
	require.True(w, ok, "the keeper was told something else than %v: %+v", t, told)
	require.Equal(w, t, m.Header.Type)
	return m
}

// gone waits until the keeper is told of a loss, and passes over messages before it.
func (w *world) gone(ref wire.Peer, detector string) *wire.PeerGone {
	w.Helper()
	for {
		if g, ok := receive(w, w.heard, "PeerGone").(*wire.PeerGone); ok {
			require.Equal(w, ref, g.Peer)
			require.Equal(w, detector, g.Detector, g.Detail)
			return g
		}
	}
}

func (w *world) eventually(what string, cond func() bool) {
	w.Helper()
	for until := time.Now().Add(patience); !cond(); runtime.Gosched() {
		require.True(w, time.Now().Before(until), "did not happen: %s", what)
	}
}

// addresses are one of each transport.
func addresses(t *testing.T) map[string]string {
	return map[string]string{"tcp": "tcp://127.0.0.1:0", "ipc": "ipc://" + filepath.Join(t.TempDir(), "s"), "inproc": inproc()}
}

var number atomic.Uint64

func inproc() string { return fmt.Sprintf("inproc://world-%d", number.Add(1)) }

// party is a raw ZeroMQ socket at the other end.
type party struct {
	w     *world
	sock  *zmqsock.Socket
	in    *zmqsock.In
	out   *zmqsock.Out
	poll  *zmqsock.Poller
	wake  *zmqsock.Wake
	ref   wire.Peer // as the loop knows it, once it is registered
	left  []frames  // received and not yet looked at
	sofar uint64    // bytes looked at since WELCOME, which is among them
	done  bool
}

// frames is one message: on a ROUTER the routing id first.
type frames [][]byte

func (w *world) party(cfg zmqsock.Config) *party {
	w.Helper()
	cfg.Linger, cfg.PerFrame = patience, w.loop.cfg.PerFrame
	s, err := w.ctx.Open(cfg)
	require.NoError(w, err)
	require.NoError(w, w.ctx.Monitor(s))
	p := &party{w: w, sock: s, out: zmqsock.NewOut()}
	p.in, err = zmqsock.NewIn(64)
	require.NoError(w, err)
	p.wake, err = zmqsock.NewWake()
	require.NoError(w, err)
	p.poll = zmqsock.NewPoller(p.wake)
	require.NoError(w, p.poll.Set([]*zmqsock.Socket{s}))
	w.Cleanup(p.close)
	return p
}

// dial connects a raw DEALER.
func (w *world) dial() *party { return w.dialAs(zmqsock.Config{Kind: zmqsock.Dealer}) }

func (w *world) dialAs(cfg zmqsock.Config) *party {
	w.Helper()
	p := w.party(cfg)
	require.NoError(w, p.sock.Connect(w.ep.Addrs()[0]))
	return p
}

// join connects a raw DEALER and registers it, with a window of its wish.
func (w *world) join(window int64) *party {
	w.Helper()
	p := w.dial()
	p.say(wire.Header{Type: wire.Hello}, wire.JSON(wire.HelloInfo{Window: window}))
	p.ref = w.message(wire.Hello).From
	p.hear(wire.Welcome)
	return p
}

// bind makes a raw ROUTER, for loops that connect.
func (w *world) bind(at string) (*party, string) {
	w.Helper()
	p := w.party(zmqsock.Config{Kind: zmqsock.Router})
	addr, err := p.sock.Bind(at)
	require.NoError(w, err)
	return p, addr
}

func (p *party) close() {
	if p.done {
		return
	}
	p.done = true
	require.NoError(p.w, p.sock.Close())
	require.NoError(p.w, p.wake.Close())
	p.in.Free()
	p.out.Free()
}

// say sends one message of HIT/1; on a ROUTER, to the peer that was heard last.
func (p *party) say(h wire.Header, body ...[]byte) {
	p.w.Helper()
	p.raw(append(frames{h.Bytes()}, body...)...)
}

func (p *party) raw(f ...[]byte) {
	p.w.Helper()
	p.rawTo(nil, f...)
}

func (p *party) rawTo(id []byte, f ...[]byte) {
	p.w.Helper()
	p.out.Add(p.sock, id, false)
	for _, b := range f {
		p.out.Append(b)
	}
	require.Zero(p.w, p.out.Send())
	p.out.Reset()
}

// take waits for one message.
func (p *party) take() frames {
	p.w.Helper()
	for until := time.Now().Add(patience); len(p.left) == 0; {
		require.True(p.w, time.Now().Before(until), "no message came")
		if !p.fetch() {
			require.NoError(p.w, p.poll.Wait(time.Until(until)))
		}
	}
	m := p.left[0]
	p.left = p.left[1:]
	return m
}

// fetch reads what is there, without waiting, and reports whether there was anything.
func (p *party) fetch() bool {
	p.w.Helper()
	n, err := p.in.Recv(p.sock, 64, 0)
	require.NoError(p.w, err)
	for i := range n {
		var m frames
		for _, f := range p.in.Frames(i, nil) {
			m = append(m, bytes.Clone(f))
		}
		p.left = append(p.left, m)
	}
	p.in.Clear(true)
	return n > 0
}

// hear waits for one message of HIT/1 and returns header and body.
func (p *party) hear(t wire.Type) (wire.Header, frames) {
	p.w.Helper()
	m := p.take()
	var h wire.Header
	require.NoError(p.w, h.Parse(m[0]))
	require.Equal(p.w, t, h.Type, "%v %q", h, m[1:])
	if t == wire.Welcome {
		p.sofar = 0
	}
	for _, f := range m {
		p.sofar += uint64(len(f))
	}
	return h, m[1:]
}

// hearError waits for an ERROR with this status, whose text holds all the words.
func (p *party) hearError(s wire.Status, words ...string) wire.Header {
	p.w.Helper()
	h, body := p.hear(wire.Error)
	require.Equal(p.w, s, h.Status, "%q", body)
	require.Equal(p.w, wire.NeverStarted, wire.Outcome(h.Arg))
	for _, word := range words {
		require.Contains(p.w, string(body[0]), word)
	}
	return h
}

// alive requires that the loop answers, with nothing in between.
func (p *party) alive() {
	p.w.Helper()
	arg := uint32(number.Add(1))
	p.say(wire.Header{Type: wire.Ping, Arg: arg})
	h, _ := p.hear(wire.Pong)
	require.Equal(p.w, arg, h.Arg)
}

// hungUp waits until the connection of a raw DEALER is lost.
func (p *party) hungUp() {
	p.w.Helper()
	p.w.eventually("the connection is lost", func() bool {
		for _, e := range p.sock.Events(nil) {
			if e.Kind == zmqsock.Disconnected {
				return true
			}
		}
		return false
	})
}

func filled(n int, with byte) []byte { return bytes.Repeat([]byte{with}, n) }

func text(n int) string { return strings.Repeat("x", n) }
