package pubsub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
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

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func publisher(t *testing.T, cfg PublisherConfig) *Publisher {
	t.Helper()
	if cfg.Bind == nil {
		cfg.Bind = []string{"tcp://127.0.0.1:0"}
	}
	if cfg.Logger == nil {
		cfg.Logger = quiet
	}
	cfg.Poison = true
	p, err := NewPublisher(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close(within(t))) })
	return p
}

func subscriber(t *testing.T, cfg SubscriberConfig, connect ...string) *Subscriber {
	t.Helper()
	cfg.Connect, cfg.Poison = connect, true
	if cfg.Logger == nil {
		cfg.Logger = quiet
	}
	s, err := NewSubscriber(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close(within(t))) })
	return s
}

func receive(t *testing.T, s *Subscriber) *Message {
	t.Helper()
	m, err := s.Receive(within(t))
	require.NoError(t, err)
	return m
}

func transports(t *testing.T) map[string]string {
	return map[string]string{
		"tcp": "tcp://127.0.0.1:0", "ipc": "ipc://" + filepath.Join(t.TempDir(), "s"), "inproc": fmt.Sprintf("inproc://%p", t),
	}
}

// eventually looks again and again until cond holds.
func eventually(t *testing.T, cond func() bool, what string) {
	t.Helper()
	for until := time.Now().Add(patience); !cond(); runtime.Gosched() {
		require.True(t, time.Now().Before(until), "did not happen: %s", what)
	}
}

// plain is an ordinary ZeroMQ socket, as a peer of any language has it.
type plain struct {
	*zmqsock.Socket
	t   *testing.T
	in  *zmqsock.In
	out *zmqsock.Out
}

func plainSocket(t *testing.T, cfg zmqsock.Config) *plain {
	t.Helper()
	ctx, release, err := bridge.SharedContext()
	require.NoError(t, err)
	cfg.Heartbeat = -1
	sock, err := ctx.Open(cfg)
	require.NoError(t, err)
	in, err := zmqsock.NewIn(16)
	require.NoError(t, err)
	p := &plain{sock, t, in, zmqsock.NewOut()}
	t.Cleanup(func() {
		require.NoError(t, sock.Close())
		p.in.Free()
		p.out.Free()
		release()
	})
	return p
}

func (p *plain) send(frames ...string) {
	p.t.Helper()
	p.out.Add(p.Socket, nil, false)
	for _, f := range frames {
		p.out.Append([]byte(f))
	}
	require.Zero(p.t, p.out.Send())
	p.out.Reset()
}

func (p *plain) receive() (frames []string) {
	p.t.Helper()
	eventually(p.t, func() bool {
		n, err := p.in.Recv(p.Socket, 1, 0)
		require.NoError(p.t, err)
		return n == 1
	}, "a message")
	for _, f := range p.in.Frames(0, nil) {
		frames = append(frames, string(f))
	}
	p.in.Clear(true)
	return frames
}

func is(t *testing.T, err, kind error) *Error {
	t.Helper()
	var e *Error
	require.ErrorIs(t, err, kind)
	require.True(t, errors.As(err, &e))
	return e
}
