//go:build cgo

package zmqsock

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A Push stops before the first message that nobody takes, and goes on there: nothing is lost, doubled, or out of order.
func TestSendSomeGoesOnWhereItStopped(t *testing.T) {
	paths(t, func(t *testing.T, perFrame bool) {
		const all, limit = 500, 10
		c := context(t)
		push := join(t, c, Config{Kind: Push, SendHWM: limit, PerFrame: perFrame})
		at, err := push.Bind(fmt.Sprintf("inproc://%p", t))
		require.NoError(t, err)
		for i := range all {
			push.out.Add(push.Socket, nil, false)
			push.out.Append([]byte{byte(i >> 8), byte(i)})
			push.out.Append([]byte("body"))
		}
		sent, err := push.out.SendSome()
		require.Zero(t, sent)
		require.ErrorIs(t, err, syscall.EAGAIN, "nobody is there")
		pull := join(t, c, Config{Kind: Pull, RecvHWM: limit, PerFrame: perFrame})
		require.NoError(t, pull.Connect(at))
		for i := 0; i < all; {
			_, _ = push.out.SendSome()
			n, err := pull.in.Recv(pull.Socket, 16, 0)
			require.NoError(t, err)
			for k := range n {
				require.Equal(t, message{{byte(i >> 8), byte(i)}, []byte("body")}, message(pull.in.Frames(k, nil)))
				i++
			}
			pull.in.Clear(true)
		}
		require.Zero(t, push.out.Left())
		push.out.Reset()
	})
}

// An XPub hears who subscribes to what, from which connection, and what an XSub says besides.
func TestXPubHearsSubscriptions(t *testing.T) {
	paths(t, func(t *testing.T, perFrame bool) {
		c := context(t)
		pub := join(t, c, Config{Kind: XPub, PerFrame: perFrame})
		at, err := pub.Bind("tcp://127.0.0.1:0")
		require.NoError(t, err)
		sub := join(t, c, Config{Kind: XSub, PerFrame: perFrame})
		require.NoError(t, sub.Connect(at))
		sub.send(nil, message{Subscription("w1\x00", true)}, message{[]byte("a word")}, message{Subscription("w1\x00", false)})
		require.Equal(t, []message{{[]byte("\x01w1\x00")}, {[]byte("a word")}, {[]byte("\x00w1\x00")}}, pub.receive(3))
		plain := join(t, c, Config{Kind: Sub, PerFrame: perFrame})
		require.NoError(t, plain.Subscribe("w"))
		require.Error(t, sub.Subscribe("w"))
		require.NoError(t, plain.Connect(at))
		require.Equal(t, []message{{[]byte("\x01w")}}, pub.receive(1))
		pub.send(nil, message{[]byte("w10"), []byte("rain")})
		require.Equal(t, []message{{[]byte("w10"), []byte("rain")}}, plain.receive(1))
	})
}

// A connection whose other end reads nothing has a backlog that stays as it is.
func TestBacklogOfAnEndThatDoesNotRead(t *testing.T) {
	for name, at := range transports(t) {
		if name == "inproc" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			c := context(t)
			router, dealer, id := connected(t, at, false)
			_ = c
			dealer.send(nil, message{[]byte("again")})
			var conn Conn
			router.each(1, func(i int) { conn = Identify(router.in.Meta(i).FD) })
			require.NotEmpty(t, conn.Peer())
			big := make([]byte, 1<<20)
			for range 2000 { // beyond the other end's limit by count, so that it stops reading
				router.out.Add(router.Socket, id, false)
				router.out.Append(big[:4096])
			}
			router.out.Send()
			router.out.Reset()
			eventually(t, func() bool { b, ok := conn.Backlog(); return ok && b.Waiting > 0 }, "a backlog")
			_, known := Conn{}.Backlog()
			require.False(t, known)
		})
	}
}
