//go:build cgo

package zmqsock

import (
	"bytes"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is the safety net of every wait: no test passes because of it.
const patience = 30 * time.Second

// paths runs a test over the batch shim and over the binding's per-frame calls.
func paths(t *testing.T, test func(t *testing.T, perFrame bool)) {
	t.Run("batch", func(t *testing.T) { test(t, false) })
	t.Run("per-frame", func(t *testing.T) { test(t, true) })
}

// context returns a context that must end when the test's sockets are closed.
func context(t *testing.T) *Context {
	t.Helper()
	c, err := NewContext()
	require.NoError(t, err)
	t.Cleanup(func() {
		ended := make(chan error, 1)
		go func() { ended <- c.Term() }()
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(patience):
			t.Error("the context does not end: a socket was left open or lingers for ever")
		}
	})
	return c
}

// party is a socket with what is needed to talk through it.
type party struct {
	*Socket
	t    *testing.T
	in   *In
	out  *Out
	poll *Poller
	wake *Wake
}

// join opens a socket that is closed at the end of the test.
func join(t *testing.T, c *Context, cfg Config) *party {
	t.Helper()
	s, err := c.Open(cfg)
	require.NoError(t, err)
	p := &party{Socket: s, t: t, out: NewOut()}
	p.in, err = NewIn(16)
	require.NoError(t, err)
	p.wake, err = NewWake()
	require.NoError(t, err)
	p.poll = NewPoller(p.wake)
	require.NoError(t, p.poll.Set([]*Socket{s}))
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		require.NoError(t, p.wake.Close())
		p.in.Free()
		p.out.Free()
	})
	return p
}

// message is all frames of one message.
type message [][]byte

// send sends messages to a routing id (none on a DEALER) and requires that libzmq takes them.
func (p *party) send(id []byte, messages ...message) {
	p.t.Helper()
	for _, m := range messages {
		p.out.Add(p.Socket, id, false)
		for _, f := range m {
			p.out.Append(f)
		}
	}
	require.Zero(p.t, p.out.Send())
	p.out.Reset()
}

// receive waits for n messages and returns copies of them.
func (p *party) receive(n int) []message {
	p.t.Helper()
	var all []message
	p.each(n, func(i int) {
		var m message
		for _, f := range p.in.Frames(i, nil) {
			m = append(m, bytes.Clone(f))
		}
		all = append(all, m)
	})
	return all
}

// each waits for n messages and shows them to f while they lie in the batch.
func (p *party) each(n int, f func(i int)) {
	p.t.Helper()
	for until := time.Now().Add(patience); n > 0; {
		require.True(p.t, time.Now().Before(until), "%d messages did not arrive", n)
		got, err := p.in.Recv(p.Socket, n, AllTypes)
		require.NoError(p.t, err)
		require.Equal(p.t, got, p.in.Len())
		for i := range got {
			f(i)
		}
		p.in.Clear(true)
		if n -= got; n > 0 && got == 0 {
			require.NoError(p.t, p.poll.Wait(time.Until(until)))
		}
	}
}

// transports are addresses to bind, by scheme.
func transports(t *testing.T) map[string]string {
	return map[string]string{
		"tcp":    "tcp://127.0.0.1:0",
		"ipc":    "ipc://" + filepath.Join(t.TempDir(), "s"),
		"inproc": fmt.Sprintf("inproc://%p", t),
	}
}

// connected returns a ROUTER and a DEALER that have met, and the routing id of the DEALER.
func connected(t *testing.T, at string, perFrame bool) (router, dealer *party, id []byte) {
	t.Helper()
	c := context(t)
	router = join(t, c, Config{Kind: Router, PerFrame: perFrame})
	addr, err := router.Bind(at)
	require.NoError(t, err)
	dealer = join(t, c, Config{Kind: Dealer, PerFrame: perFrame})
	require.NoError(t, dealer.Connect(addr))
	return router, dealer, greet(t, router, dealer)
}

// greet sends one message from a DEALER and returns the routing id under which the ROUTER knows it.
func greet(t *testing.T, router, dealer *party) []byte {
	t.Helper()
	dealer.send(nil, message{[]byte("hello")})
	got := router.receive(1)[0]
	require.Len(t, got, 2)
	return got[0]
}

// eventually looks again and again, without waiting, until cond holds.
func eventually(t *testing.T, cond func() bool, what string) {
	t.Helper()
	for until := time.Now().Add(patience); !cond(); runtime.Gosched() {
		if time.Now().After(until) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}
