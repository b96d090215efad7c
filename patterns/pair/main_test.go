package pair

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/bridge"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		if err := child(context.Background(), url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

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

func transports(t *testing.T) map[string]string {
	return map[string]string{"tcp": freePort(t), "ipc": "ipc://" + filepath.Join(t.TempDir(), "p"), "inproc": fmt.Sprintf("inproc://p%p", t)}
}

// freePort is an endpoint where nobody listens.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return "tcp://" + l.Addr().String()
}

func config(url string) Config { return Config{URL: url, Logger: quiet, Poison: true} }

func listen(t *testing.T, cfg Config) *End {
	t.Helper()
	e, err := Listen(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close(within(t))) })
	return e
}

func dial(t *testing.T, cfg Config) *End {
	t.Helper()
	e, err := Dial(context.Background(), within(t), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close(within(t))) })
	return e
}

func receive(t *testing.T, e *End) []string {
	t.Helper()
	body, err := e.Receive(within(t))
	require.NoError(t, err)
	var all []string
	for _, f := range body {
		all = append(all, string(f))
	}
	return all
}

func is(t *testing.T, err, kind error) *Error {
	t.Helper()
	var e *Error
	require.ErrorIs(t, err, kind)
	require.True(t, errors.As(err, &e))
	return e
}

// plain is an ordinary ZeroMQ socket, as a peer of any language has it.
type plain struct {
	t    *testing.T
	sock *zmqsock.Socket
	in   *zmqsock.In
	out  *zmqsock.Out
}

func newPlain(t *testing.T, kind zmqsock.Kind, at string) *plain {
	t.Helper()
	ctx, release, err := bridge.SharedContext()
	require.NoError(t, err)
	sock, err := ctx.Open(zmqsock.Config{Kind: kind, Heartbeat: -1, SendHWM: 10, RecvHWM: 10})
	require.NoError(t, err)
	require.NoError(t, sock.Connect(at))
	in, err := zmqsock.NewIn(16)
	require.NoError(t, err)
	p := &plain{t: t, sock: sock, in: in, out: zmqsock.NewOut()}
	t.Cleanup(func() {
		p.close()
		in.Free()
		p.out.Free()
		release()
	})
	return p
}

func (p *plain) close() {
	if p.sock != nil {
		require.NoError(p.t, p.sock.Close())
		p.sock = nil
	}
}

// send returns how many messages were refused.
func (p *plain) send(frames ...string) int {
	p.out.Add(p.sock, nil, false)
	for _, f := range frames {
		p.out.Append([]byte(f))
	}
	defer p.out.Reset()
	return p.out.Send()
}

func (p *plain) receive() (frames []string) {
	p.t.Helper()
	eventually(p.t, func() bool { n, err := p.in.Recv(p.sock, 1, 0); require.NoError(p.t, err); return n == 1 }, "a message")
	for _, f := range p.in.Frames(0, nil) {
		frames = append(frames, string(f))
	}
	p.in.Clear(true)
	return frames
}

// python starts a script with pyzmq and returns its output when it has ended.
func python(t *testing.T, script string, args ...string) func() string {
	t.Helper()
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import zmq").Run(); err != nil {
		t.Skipf("%s has no pyzmq (%v): run make setup", python, err)
	}
	cmd := exec.CommandContext(within(t), python, append([]string{"-c", script}, args...)...)
	type result struct {
		out []byte
		err error
	}
	done := make(chan result, 1)
	go func() {
		out, err := cmd.CombinedOutput()
		done <- result{out, err}
	}()
	return func() string {
		r := <-done
		require.NoError(t, r.err, "%s", r.out)
		return string(r.out)
	}
}
