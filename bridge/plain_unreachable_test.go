package bridge

import (
	"log/slog"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// TestPlainAsksTheKernelForLostHosts looks at the options of a connection: a host that goes without a word cannot be had in a test.
func TestPlainAsksTheKernelForLostHosts(t *testing.T) {
	ctx, err := zmqsock.NewContext()
	require.NoError(t, err)
	joined := make(chan struct{}, 1)
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	keeper := system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		if _, ok := ctx.Message().(*PeerJoined); ok {
			joined <- struct{}{}
		}
	}))
	b, err := Start(t.Context(), Config{System: system, Context: ctx, Silence: 6 * time.Second},
		PlainConfig{Bind: []string{"tcp://127.0.0.1:0"}, Keeper: keeper})
	require.NoError(t, err)
	sock, err := ctx.Open(zmqsock.Config{Kind: zmqsock.Dealer, Identity: "anna", Linger: time.Nanosecond})
	require.NoError(t, err)
	require.NoError(t, sock.Connect(b.Addrs()[0]))
	out := zmqsock.NewOut()
	out.Add(sock, nil, false)
	out.Append(nil)
	require.Zero(t, out.Send())
	out.Free()
	select {
	case <-joined:
	case <-time.After(30 * time.Second):
		t.Fatal("the peer never came")
	}
	got := make(chan [4]int, 1)
	b.loop.Do(func() {
		var o [4]int
		for i, opt := range []int{unix.TCP_KEEPIDLE, unix.TCP_KEEPINTVL, unix.TCP_KEEPCNT, unix.TCP_USER_TIMEOUT} {
			o[i], _ = unix.GetsockoptInt(b.peers["anna"].fd, unix.IPPROTO_TCP, opt)
		}
		got <- o
	})
	require.Equal(t, [4]int{2, 2, 2, 6000}, <-got, "two questions without an answer, two seconds apart, after two seconds of silence")
	require.NoError(t, sock.Close())
	require.NoError(t, b.Close(t.Context()))
	require.NoError(t, ctx.Term())
	require.NoError(t, system.Root.StopFuture(keeper).Wait())
}
