package actors_test

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/supervision"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests; it is a safety net, no test measures time.
const patience = 30 * time.Second

// loop is a dispatcher whose turns the test runs, all on its own goroutine.
type loop struct {
	mu         sync.Mutex
	ready      []func()
	wake       chan struct{}
	throughput int // default 64
}

// Throughput is the engine's.
func (l *loop) Throughput() int { return cmp.Or(l.throughput, 64) }

// Schedule is the engine's.
func (l *loop) Schedule(fn func()) {
	l.mu.Lock()
	l.ready = append(l.ready, fn)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// drain runs all turns there are.
func (l *loop) drain() {
	for {
		l.mu.Lock()
		batch := l.ready
		l.ready = nil
		l.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for _, fn := range batch {
			fn()
		}
	}
}

// some runs up to n turns.
func (l *loop) some(n int) {
	for range n {
		l.mu.Lock()
		if len(l.ready) == 0 {
			l.mu.Unlock()
			return
		}
		fn := l.ready[0]
		l.ready = l.ready[1:]
		l.mu.Unlock()
		fn()
	}
}

// await runs fn elsewhere and turns the loop until it has returned.
func (l *loop) await(t testing.TB, fn func(context.Context) error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- fn(ctx) }()
	for {
		l.drain()
		select {
		case err := <-done:
			l.drain()
			return err
		case <-l.wake:
		case <-ctx.Done():
			require.FailNow(t, "it did not return")
		}
	}
}

// stage is a house on fake ports: the bridge is in the hands of the test.
type stage struct {
	t      testing.TB
	loop   *loop
	system *actor.ActorSystem
	house  *actors.House
	tree   *supervision.Tree
	broker *actor.PID
	bridge *bridge
}

func config() machine.BrokerConfig {
	return machine.BrokerConfig{
		Name: "broker", Incarnation: "00c0ffee00c0ffee", MaxBody: 1 << 20, Heartbeat: time.Second, MaxQueue: 3,
		MaxWait: 30 * time.Second, MaxCalls: 4, Ask: time.Second, Admin: true, Epoch: 100,
	}
}

func newStage(t testing.TB) *stage {
	t.Helper()
	s := &stage{t: t, loop: &loop{wake: make(chan struct{}, 1)}}
	s.system = actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }),
		actor.WithDeadLetterThrottleInterval(time.Nanosecond),
	)
	s.bridge = newBridge(t, s.system.Root)
	b := s.bridge
	s.house = actors.NewHouse(s.system, actors.Ports{
		Outbox: b, Directory: b, Peers: b, Now: func() time.Duration { return b.now },
		NewTimer: b.newTimer, Logger: slog.New(slog.DiscardHandler),
	})
	cfg := config()
	cfg.ActorName = func(h uint64) string { return b.Lookup(h).GetId() }
	spec := s.house.Spec("house", cfg, s.loop, time.Second)
	require.NoError(t, s.loop.await(t, func(ctx context.Context) (err error) {
		s.tree, err = supervision.Start(ctx, s.system, spec)
		return err
	}))
	var err error
	s.broker, err = s.house.Adopt(s.list())
	require.NoError(t, err)
	b.keeper = s.broker
	t.Cleanup(s.close)
	return s
}

// list returns the tree.
func (s *stage) list() (status supervision.Status) {
	require.NoError(s.t, s.loop.await(s.t, func(ctx context.Context) (err error) {
		status, err = s.tree.List(ctx)
		return err
	}))
	return status
}

// children counts the actors of one supervisor.
func (s *stage) children(id string) int {
	for _, c := range s.list().Children {
		if c.ID == id {
			return len(c.Children)
		}
	}
	return -1
}

func (s *stage) close() {
	require.NoError(s.t, s.loop.await(s.t, s.tree.Stop))
	s.system.Shutdown()
	for _, l := range s.bridge.leases {
		require.Zero(s.t, l.holds, "a lease is held for ever")
	}
}

// fault makes an actor panic.
func (s *stage) fault(pid *actor.PID) {
	s.t.Helper()
	require.NotNil(s.t, pid)
	s.system.Root.Send(pid, actors.Fault{Text: "a test's fault"})
	s.loop.drain()
}

// tick moves time and fires the timers that are due.
func (s *stage) tick(d time.Duration) {
	s.bridge.fire(d)
	s.loop.drain()
}

// used returns the slots taken of all workers.
func (s *stage) used() (n int) {
	s.system.Root.Send(s.broker, &actors.Administer{Request: machine.AdminRequest{Cmd: "status"}, Reply: func(answer any) {
		for _, row := range answer.(machine.StatusReport).Services {
			n += row.Used
		}
	}})
	s.loop.drain()
	return n
}

// status asks the broker.
func (s *stage) status() (got machine.StatusReport) {
	s.system.Root.Send(s.broker, &actors.Administer{Request: machine.AdminRequest{Cmd: "status"}, Reply: func(answer any) {
		got = answer.(machine.StatusReport)
	}})
	s.loop.drain()
	return got
}

// peer is a client or a worker in the hands of a test.
type peer struct {
	*stage
	*connection
}

func (s *stage) peer() *peer { return &peer{s, s.bridge.connect()} }

func (s *stage) client() *peer {
	s.t.Helper()
	p := s.peer()
	p.say(wire.Header{Type: wire.Hello}, "{}")
	p.expect(wire.Welcome)
	return p
}

func (s *stage) worker(name string, slots string) *peer {
	s.t.Helper()
	p := s.peer()
	p.ready(name, slots)
	p.expect(wire.Welcome)
	return p
}

func (p *peer) ready(name, slots string) {
	p.t.Helper()
	p.say(wire.Header{Type: wire.Ready}, `{"name":"`+name+`","services":["echo"],"slots":`+slots+`}`)
}

// whisper hands a message to the actor that the bridge would hand it to; nobody runs yet.
func (p *peer) whisper(h wire.Header, body ...string) {
	p.t.Helper()
	p.bridge.deliver(p.connection, h, body)
}

func (p *peer) say(h wire.Header, body ...string) {
	p.t.Helper()
	p.whisper(h, body...)
	p.loop.drain()
}

func (p *peer) expect(want wire.Type) *wire.Message {
	p.t.Helper()
	require.NotEmpty(p.t, p.inbox, "nothing came")
	m := p.inbox[0]
	p.inbox = p.inbox[1:]
	require.Equal(p.t, want, m.Header.Type, "%v: %s", m.Header, m.Frame(0))
	return m
}

func (p *peer) expectError(status wire.Status, outcome wire.Outcome) *wire.Message {
	p.t.Helper()
	m := p.expect(wire.Error)
	require.Equal(p.t, status, m.Header.Status, "%s", m.Frame(0))
	require.Equal(p.t, outcome, wire.Outcome(m.Header.Arg))
	return m
}

func (p *peer) silent() {
	p.t.Helper()
	for _, m := range p.inbox {
		require.Fail(p.t, "something came", "%v: %s", m.Header, m.Frame(0))
	}
}

// open opens a hit up to its BEGIN.
func (s *stage) begun(c, w *peer, ref uint64, flags wire.Flags) wire.Header {
	s.t.Helper()
	frames := []string{"echo", ""}
	if flags != 0 {
		frames = append(frames, "first")
	}
	c.say(wire.Header{Type: wire.Open, Flags: wire.Ref | flags, Hit: ref}, frames...)
	m := w.expect(wire.Begin)
	return wire.Header{Hit: m.Header.Hit, Epoch: m.Header.Epoch}
}

// opened opens a hit; the header is that of what the worker says of it.
func (s *stage) opened(c, w *peer, ref uint64) wire.Header {
	s.t.Helper()
	h := s.begun(c, w, ref, 0)
	w.say(typed(h, wire.Opened, 0))
	c.expect(wire.Opened)
	return h
}

func typed(h wire.Header, t wire.Type, seq uint32) wire.Header {
	return wire.Header{Type: t, Hit: h.Hit, Epoch: h.Epoch, Seq: seq}
}

// called is what the client says of a hit.
func called(h wire.Header, t wire.Type, seq uint32) wire.Header {
	h.Type, h.Seq, h.Epoch = t, seq, 1
	return h
}
