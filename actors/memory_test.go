package actors_test

import (
	"context"
	"io"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/supervision"
)

// sink is ports that keep no more than the real directory does: one slot for each handle.
type sink struct {
	pids []*actor.PID
	free []uint64
	last wire.Header
	to   wire.Peer
}

func (s *sink) Send(to wire.Peer, h wire.Header, _ ...[]byte) error {
	s.to, s.last = to, h
	return nil
}

func (s *sink) Forward(to wire.Peer, h wire.Header, _ *wire.Message) error {
	s.to, s.last = to, h
	return nil
}

func (s *sink) Reserve() uint64 {
	s.pids = append(s.pids, nil)
	return uint64(len(s.pids))
}

func (s *sink) Bind(handle uint64, pid *actor.PID, _ actor.Mailbox) { s.pids[handle-1] = pid }
func (s *sink) Free(handle uint64)                                  { s.free = append(s.free, handle) }
func (s *sink) Lookup(handle uint64) *actor.PID                     { return s.pids[handle-1] }
func (s *sink) Attach(wire.Peer, *actor.PID)                        {}
func (s *sink) Window(wire.Peer, int64) int64                       { return 4 << 20 }
func (s *sink) HangUp(wire.Peer, string, string)                    {}
func (s *sink) Silent(wire.Peer) (time.Duration, bool, bool)        { return 0, false, false }
func (s *sink) Set(time.Duration)                                   {}
func (s *sink) Stop()                                               {}
func (s *sink) newTimer(*actor.PID, any) actors.Timer               { return s }

// crowd is a house with very many hits.
type crowd struct {
	t      testing.TB
	loop   *loop
	system *actor.ActorSystem
	tree   *supervision.Tree
	broker *actor.PID
	*sink
}

func newCrowd(t testing.TB) *crowd {
	c := &crowd{t: t, loop: &loop{wake: make(chan struct{}, 1)}, sink: &sink{}}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	c.system = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }),
		actor.WithDeadLetterThrottleInterval(time.Nanosecond))
	house := actors.NewHouse(c.system, actors.Ports{
		Outbox: c.sink, Directory: c.sink, Peers: c.sink, Now: func() time.Duration { return time.Second },
		NewTimer: c.newTimer, Logger: quiet,
	})
	cfg := config()
	require.NoError(t, c.loop.await(t, func(ctx context.Context) (err error) {
		c.tree, err = supervision.Start(ctx, c.system, house.Spec("troupe-0123456789abcdef", cfg, c.loop, 30*time.Second))
		return err
	}))
	var status supervision.Status
	require.NoError(t, c.loop.await(t, func(ctx context.Context) (err error) {
		status, err = c.tree.List(ctx)
		return err
	}))
	var err error
	c.broker, err = house.Adopt(status)
	require.NoError(t, err)
	return c
}

func (c *crowd) say(to *actor.PID, from wire.Peer, h wire.Header, body ...[]byte) {
	m := wire.NewMessage(h, body...)
	m.From = from
	c.system.Root.Send(to, m)
	c.loop.drain()
}

// open opens a hit, and has one call of it answered.
func (c *crowd) open(ref uint64) {
	c.say(c.broker, 1, wire.Header{Type: wire.Open, Flags: wire.Ref, Hit: ref}, []byte("echo"), nil)
	begin, w := c.last, c.to
	require.Equal(c.t, wire.Begin, begin.Type)
	pid := c.Lookup(begin.Hit)
	c.say(pid, w, wire.Header{Type: wire.Opened, Hit: begin.Hit, Epoch: begin.Epoch})
	c.say(pid, 1, wire.Header{Type: wire.Call, Hit: begin.Hit, Epoch: 1, Seq: 1}, []byte("x"))
	c.say(pid, w, wire.Header{Type: wire.Reply, Hit: begin.Hit, Epoch: begin.Epoch, Seq: 1}, []byte("x"))
	require.Equal(c.t, wire.Reply, c.last.Type)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// An open hit costs the broker machine, actor, mailbox, PID and the supervisor's record: 1,500 bytes at most, the engine's included.
func TestBytesPerOpenHit(t *testing.T) {
	hits := 100_000
	if testing.Short() {
		hits = 20_000
	}
	c := newCrowd(t)
	c.say(c.broker, 1, wire.Header{Type: wire.Hello}, []byte("{}"))
	for _, worker := range []wire.Peer{2, 3} {
		c.say(c.broker, worker, wire.Header{Type: wire.Ready}, []byte(`{"services":["echo"],"slots":65535}`))
	}
	before := heap()
	for i := range hits {
		c.open(uint64(i))
	}
	each := float64(heap()-before) / float64(hits)
	t.Logf("%.0f bytes per open hit, %d hits open", each, hits)
	require.Less(t, each, 1500.0)
	require.NoError(t, c.loop.await(t, c.tree.Stop))
	c.system.Shutdown()
}
