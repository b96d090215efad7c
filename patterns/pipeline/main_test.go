package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/bridge"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is the safety net of every wait: no test passes because of it.
const patience = 30 * time.Second

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func eventually(t *testing.T, cond func() bool, what string) {
	t.Helper()
	for until := time.Now().Add(patience); !cond(); runtime.Gosched() {
		require.True(t, time.Now().Before(until), "did not happen: %s", what)
	}
}

// stage is a ventilator and a sink that has everything received by its test.
type stage struct {
	t     *testing.T
	vent  *Ventilator
	sink  *Sink
	at    string
	count atomic.Int64 // handlers begun
}

func newStage(t *testing.T, scheme string, cfg VentilatorConfig) *stage {
	t.Helper()
	at := map[string][2]string{
		"tcp": {"tcp://127.0.0.1:0", "tcp://127.0.0.1:0"}, "ipc": {"ipc://" + filepath.Join(t.TempDir(), "v"), "ipc://" + filepath.Join(t.TempDir(), "s")},
		"inproc": {fmt.Sprintf("inproc://v%p", t), fmt.Sprintf("inproc://s%p", t)},
	}[scheme]
	cfg.Bind, cfg.Logger, cfg.Poison = []string{at[0]}, quiet, true
	v, err := NewVentilator(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, v.Close(within(t))) })
	s := &stage{t: t, vent: v, at: v.Addrs()[0]}
	s.sink = s.newSink(at[1], 0)
	return s
}

func (s *stage) newSink(at string, queue int) *Sink {
	s.t.Helper()
	sink, err := NewSink(context.Background(), SinkConfig{Ventilator: s.at, Bind: at, Queue: queue, Logger: quiet, Poison: true})
	require.NoError(s.t, err)
	s.t.Cleanup(func() { require.NoError(s.t, sink.Close(within(s.t))) })
	return sink
}

func (s *stage) worker(cfg WorkerConfig) *Worker {
	s.t.Helper()
	cfg.Ventilator, cfg.Logger, cfg.Poison = s.at, quiet, true
	if cfg.Handler == nil {
		cfg.Handler = func(_ context.Context, t *Task) ([][]byte, error) { s.count.Add(1); return t.Body, nil }
	}
	w, err := NewWorker(context.Background(), cfg)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { require.NoError(s.t, w.Close(within(s.t))) })
	return w
}

// pushAll starts a batch, pushes n tasks from a goroutine, and returns how it ends.
func (s *stage) pushAll(n int) <-chan ended {
	s.t.Helper()
	b, err := s.vent.Start(within(s.t), "batch")
	require.NoError(s.t, err)
	ctx, done := within(s.t), make(chan ended, 1)
	go func() {
		for i := range n {
			if err := b.Push(ctx, fmt.Append(nil, i)); err != nil {
				done <- ended{err: err}
				return
			}
		}
		r, err := b.End(ctx)
		done <- ended{r, err}
	}()
	return done
}

type ended struct {
	Report
	err error
}

// collect receives one batch and requires that each result comes once, but for those that are missing.
func (s *stage) collect(n int) *Event {
	s.t.Helper()
	e, err := s.sink.Receive(within(s.t))
	require.NoError(s.t, err)
	require.Equal(s.t, BatchStarted, e.Kind)
	seen := map[uint64]bool{}
	for {
		e, err := s.sink.Receive(within(s.t))
		require.NoError(s.t, err)
		if e.Kind == BatchEnded {
			require.EqualValues(s.t, len(seen), e.Results)
			require.Equal(s.t, n, len(seen)+len(e.Missing))
			return e
		}
		require.False(s.t, seen[e.Index])
		seen[e.Index] = true
		if e.Err == "" {
			require.Equal(s.t, fmt.Sprint(e.Index), string(e.Body[0]))
		}
	}
}

func is(t *testing.T, err, kind error) *Error {
	t.Helper()
	var e *Error
	require.ErrorIs(t, err, kind)
	require.True(t, errors.As(err, &e))
	return e
}

// plainDealer is an ordinary ZeroMQ socket, as a peer of any language has it.
func plainDealer(t *testing.T, at string) (send func(frames ...string), receive func() []string) {
	t.Helper()
	ctx, release, err := bridge.SharedContext()
	require.NoError(t, err)
	sock, err := ctx.Open(zmqsock.Config{Kind: zmqsock.Dealer, Heartbeat: -1})
	require.NoError(t, err)
	require.NoError(t, sock.Connect(at))
	in, err := zmqsock.NewIn(16)
	require.NoError(t, err)
	out := zmqsock.NewOut()
	t.Cleanup(func() {
		require.NoError(t, sock.Close())
		in.Free()
		out.Free()
		release()
	})
	send = func(frames ...string) {
		out.Add(sock, nil, false)
		for _, f := range frames {
			out.Append([]byte(f))
		}
		require.Zero(t, out.Send())
		out.Reset()
	}
	receive = func() (frames []string) {
		eventually(t, func() bool { n, err := in.Recv(sock, 1, 0); require.NoError(t, err); return n == 1 }, "a message")
		for _, f := range in.Frames(0, nil) {
			frames = append(frames, string(f))
		}
		in.Clear(true)
		return frames
	}
	return send, receive
}
