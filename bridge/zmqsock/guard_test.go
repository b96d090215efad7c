//go:build cgo

package zmqsock

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	zmq "github.com/pebbe/zmq4"
	"github.com/stretchr/testify/require"
)

// door is a guarded Router on tcp, and what it needs.
type door struct {
	t      *testing.T
	ctx    *Context
	guard  *Guard
	sock   *Socket
	public string
	at     string
}

func newDoor(t *testing.T, perFrame bool, allow func(string) bool) *door {
	t.Helper()
	ctx := context(t)
	g, err := ctx.Guard(allow)
	require.NoError(t, err)
	t.Cleanup(g.Close)
	return guarded(t, ctx, g, perFrame)
}

func guarded(t *testing.T, ctx *Context, g *Guard, perFrame bool) *door {
	t.Helper()
	pair := newPair(t)
	d := &door{t: t, ctx: ctx, guard: g, public: pair.Public}
	d.sock = opened(t, ctx, Config{Kind: Router, PerFrame: perFrame, Curve: &Curve{Secret: pair.Secret, Guard: g}})
	var err error
	d.at, err = d.sock.Bind("tcp://127.0.0.1:*")
	require.NoError(t, err)
	return d
}

func opened(t *testing.T, ctx *Context, cfg Config) *Socket {
	t.Helper()
	s, err := ctx.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func newPair(t *testing.T) KeyPair {
	t.Helper()
	pair, err := NewKeyPair()
	require.NoError(t, err)
	return pair
}

// knock connects a client and returns how the handshake ended: nil Failure if it was let in.
func (d *door) knock(curve *Curve) (*Socket, Failure) {
	d.t.Helper()
	s := opened(d.t, d.ctx, Config{Kind: Dealer, Linger: time.Millisecond, Curve: curve})
	require.NoError(d.t, d.ctx.Monitor(s))
	require.NoError(d.t, s.Connect(d.at))
	wake, err := NewWake()
	require.NoError(d.t, err)
	defer func() { _ = wake.Close() }()
	poll := NewPoller(wake)
	require.NoError(d.t, poll.Set([]*Socket{s}))
	for until := time.Now().Add(patience); time.Now().Before(until); {
		for _, e := range s.Events(nil) {
			if e.Kind == Established {
				return s, 0
			}
			if e.Kind == Refused {
				return s, e.Failure
			}
		}
		require.NoError(d.t, poll.Wait(100*time.Millisecond))
	}
	require.FailNow(d.t, "the handshake did not end")
	return nil, 0
}

// hear returns the user of the next message at the door.
func (d *door) hear() string {
	d.t.Helper()
	in, err := NewIn(8)
	require.NoError(d.t, err)
	defer in.Free()
	wake, err := NewWake()
	require.NoError(d.t, err)
	defer func() { _ = wake.Close() }()
	poll := NewPoller(wake)
	require.NoError(d.t, poll.Set([]*Socket{d.sock}))
	for until := time.Now().Add(patience); time.Now().Before(until); {
		n, err := in.Recv(d.sock, 8, AllTypes)
		require.NoError(d.t, err)
		if n > 0 {
			return in.Meta(0).User
		}
		require.NoError(d.t, poll.Wait(100*time.Millisecond))
	}
	require.FailNow(d.t, "no message came")
	return ""
}

func say(t *testing.T, s *Socket, text string) {
	t.Helper()
	out := NewOut()
	defer out.Free()
	out.Add(s, nil, false)
	out.Append([]byte(text))
	require.Zero(t, out.Send())
}

func TestGuardLetsKnownKeysIn(t *testing.T) {
	for _, perFrame := range []bool{false, true} {
		t.Run(fmt.Sprintf("perFrame=%v", perFrame), func(t *testing.T) {
			known := newPair(t)
			d := newDoor(t, perFrame, func(key string) bool { return key == known.Public })
			s, failure := d.knock(&Curve{Secret: known.Secret, Server: d.public})
			require.Zero(t, failure)
			say(t, s, "hello")
			require.Equal(t, known.Public, d.hear(), "the message tells whose it is")
			require.EqualValues(t, 1, d.guard.Admitted())
		})
	}
}

func TestGuardTurnsOthersAway(t *testing.T) {
	known := newPair(t)
	d := newDoor(t, false, func(key string) bool { return key == known.Public })
	_, failure := d.knock(&Curve{Secret: newPair(t).Secret, Server: d.public})
	require.Equal(t, KeyRefused, failure)
	require.NotZero(t, d.guard.Refused())
	_, failure = d.knock(&Curve{Secret: known.Secret, Server: newPair(t).Public})
	require.Equal(t, Unexplained, failure, "a server with another key cannot even read what it is told")
	_, failure = d.knock(nil)
	require.Equal(t, OtherMechanism, failure)
}

func TestGuardsOfAContextAreApart(t *testing.T) {
	one, two := newPair(t), newPair(t)
	ctx := context(t)
	first, err := ctx.Guard(func(key string) bool { return key == one.Public })
	require.NoError(t, err)
	second, err := ctx.Guard(func(key string) bool { return key == two.Public })
	require.NoError(t, err)
	t.Cleanup(second.Close)
	d := guarded(t, ctx, second, false)
	_, failure := d.knock(&Curve{Secret: one.Secret, Server: d.public})
	require.Equal(t, KeyRefused, failure, "the key is known at the other guard only")
	first.Close()
	first.Close()
	require.NoError(t, second.Err(), "who has started the handler does not end it for others")
	_, failure = d.knock(&Curve{Secret: two.Secret, Server: d.public})
	require.Zero(t, failure)
}

func TestGuardsComeAndGo(t *testing.T) {
	ctx := context(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 3 {
				g, err := ctx.Guard(func(string) bool { return false })
				if err != nil {
					t.Errorf("guard: %v", err)
					return
				}
				g.Close()
			}
		})
	}
	all.Wait()
}

func TestGuardThatLetsEverybodyInFailsItsTest(t *testing.T) {
	_, err := context(t).Guard(func(string) bool { return true })
	require.ErrorIs(t, err, ErrOpenDoor)
}

func TestGuardDiesClosed(t *testing.T) {
	var calls atomic.Int64
	known := newPair(t)
	d := newDoor(t, false, func(key string) bool { calls.Add(1); return key == known.Public })
	d.guard.Fail("a test wants it")
	<-d.guard.Done()
	require.ErrorIs(t, d.guard.Err(), ErrGuardDied)
	_, failure := d.knock(&Curve{Secret: newPair(t).Secret, Server: d.public})
	if failure == 0 {
		s, _ := d.knock(&Curve{Secret: newPair(t).Secret, Server: d.public})
		say(t, s, "hello")
		require.Empty(t, d.hear(), "without a handler nobody has a name")
		t.Log("this libzmq lets strangers in where no handler answers: their messages have no user id, and the bridge refuses those")
	}
	_, err := d.ctx.Open(Config{Kind: Router, Curve: &Curve{Secret: known.Secret, Guard: d.guard}})
	require.ErrorIs(t, err, ErrGuardDied, "nothing more is bound")
	again, err := d.ctx.Guard(func(string) bool { return false })
	require.NoError(t, err, "a new guard starts a new handler")
	again.Close()
}

func TestGuardPanicEndsTheHandler(t *testing.T) {
	ctx := context(t)
	tested := false
	g, err := ctx.Guard(func(string) bool {
		if tested {
			panic("a mistake")
		}
		tested = true
		return false
	})
	require.NoError(t, err)
	t.Cleanup(g.Close)
	d := guarded(t, ctx, g, false)
	s := opened(t, ctx, Config{Kind: Dealer, Linger: time.Millisecond, Curve: &Curve{Secret: newPair(t).Secret, Server: d.public}})
	require.NoError(t, s.Connect(d.at))
	<-g.Done()
	require.ErrorIs(t, g.Err(), ErrGuardDied)
	require.ErrorContains(t, g.Err(), "a mistake")
}

func TestGuardNeedsTheHandlersPlace(t *testing.T) {
	raw, err := zmq.NewContext()
	require.NoError(t, err)
	defer func() { require.NoError(t, raw.Term()) }()
	theirs, err := raw.NewSocket(zmq.REP)
	require.NoError(t, err)
	defer func() { _ = theirs.Close() }()
	require.NoError(t, theirs.Bind(zapEndpoint))
	_, err = Wrap(raw).Guard(func(string) bool { return false })
	require.ErrorContains(t, err, "a context of its own")
}

func TestZAPRequestsThatAreNone(t *testing.T) {
	d := newDoor(t, false, func(string) bool { return false })
	for name, c := range map[string]struct {
		request []string
		code    string
	}{
		"nothing":          {[]string{"1.0"}, "500"},
		"version":          {[]string{"2.0", "7", d.guard.domain, "a", "", "CURVE", string(make([]byte, 32))}, "500"},
		"plain":            {[]string{"1.0", "7", d.guard.domain, "a", "", "PLAIN", "u", "p"}, "400"},
		"null":             {[]string{"1.0", "7", d.guard.domain, "a", "", "NULL"}, "400"},
		"short key":        {[]string{"1.0", "7", d.guard.domain, "a", "", "CURVE", "k"}, "400"},
		"another's domain": {[]string{"1.0", "7", "global", "a", "", "CURVE", string(make([]byte, 32))}, "400"},
		"unknown key":      {[]string{"1.0", "7", d.guard.domain, "a", "", "CURVE", string(make([]byte, 32))}, "400"},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := d.ctx.c.NewSocket(zmq.REQ)
			require.NoError(t, err)
			defer func() { _ = req.Close() }()
			require.NoError(t, req.SetRcvtimeo(patience))
			require.NoError(t, req.Connect(zapEndpoint))
			_, err = req.SendMessage(c.request)
			require.NoError(t, err)
			reply, err := req.RecvMessage(0)
			require.NoError(t, err)
			require.Len(t, reply, 6)
			require.Equal(t, c.code, reply[2])
			require.Empty(t, reply[4], "who is turned away has no name")
		})
	}
}

func TestCurveConfig(t *testing.T) {
	pair := newPair(t)
	public, err := PublicKey(pair.Secret)
	require.NoError(t, err)
	require.Equal(t, pair.Public, public)
	_, err = PublicKey("short")
	require.Error(t, err)
	for _, c := range []Config{
		{Kind: Router, Curve: &Curve{Secret: pair.Secret}},
		{Kind: Router, Curve: &Curve{Secret: "short", Guard: &Guard{}}},
		{Kind: Dealer, Curve: &Curve{Secret: pair.Secret}},
		{Kind: Dealer, Curve: &Curve{Secret: pair.Secret, Server: pair.Public, Guard: &Guard{}}},
	} {
		err := c.Validate()
		require.ErrorContains(t, err, "Curve")
		require.NotContains(t, err.Error(), pair.Secret)
	}
	require.True(t, Ciphered("tcp://127.0.0.1:1") && Ciphered("ipc://@name") && !Ciphered("ipc:///run/x") && !Ciphered("inproc://x"))
}
