//go:build cgo

package zmqsock

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// events waits for an event of a kind.
func (p *party) event(kind EventKind) Event {
	p.t.Helper()
	var found Event
	eventually(p.t, func() bool {
		for _, e := range p.Events(nil) {
			if e.Kind == kind {
				found = e
			}
		}
		return found.Kind == kind
	}, "an event")
	return found
}

// The descriptor of a message and that of its connection's end are the same: so a loss is known without sending anything.
func TestLossNamesTheDescriptorOfTheMessages(t *testing.T) {
	for name, at := range transports(t) {
		if name == "inproc" {
			continue // no connection, no descriptor
		}
		t.Run(name, func(t *testing.T) {
			paths(t, func(t *testing.T, perFrame bool) {
				c := context(t)
				router := join(t, c, Config{Kind: Router, PerFrame: perFrame})
				require.NoError(t, c.Monitor(router.Socket))
				require.NoError(t, router.poll.Set([]*Socket{router.Socket}))
				addr, err := router.Bind(at)
				require.NoError(t, err)
				dealer := join(t, c, Config{Kind: Dealer, PerFrame: perFrame})
				require.NoError(t, dealer.Connect(addr))
				header := filled(32, 0)
				header[3] = 7
				dealer.send(nil, message{header}, message{[]byte("no header")}, message{header})
				var fds []int
				n := 0
				router.each(2, func(i int) { fds, n = append(fds, router.in.Meta(i).FD), n+1 })
				got, err := 0, error(nil)
				eventually(t, func() bool {
					got, err = router.in.Recv(router.Socket, 1, 1<<6)
					require.NoError(t, err)
					return got == 1
				}, "the third message")
				require.Equal(t, -1, router.in.Meta(0).FD, "nobody asked for type 7")
				router.in.Clear(true)
				require.Equal(t, fds[0], fds[1])
				require.Equal(t, fds[0], router.event(Connected).FD)
				require.NoError(t, dealer.Close())
				require.Equal(t, fds[0], router.event(Disconnected).FD)
			})
		})
	}
}

func TestNoDescriptorOnInproc(t *testing.T) {
	paths(t, func(t *testing.T, perFrame bool) {
		router, dealer, _ := connected(t, "inproc://x", perFrame)
		dealer.send(nil, frames(2))
		router.each(1, func(i int) { require.Equal(t, -1, router.in.Meta(i).FD) })
	})
}

func TestHangupEndsTheConnection(t *testing.T) {
	c := context(t)
	router := join(t, c, Config{Kind: Router})
	require.NoError(t, c.Monitor(router.Socket))
	addr, err := router.Bind("tcp://127.0.0.1:0")
	require.NoError(t, err)
	dealer := join(t, c, Config{Kind: Dealer})
	require.NoError(t, c.Monitor(dealer.Socket))
	require.NoError(t, dealer.Connect(addr))
	dealer.send(nil, frames(1))
	fd := 0
	router.each(1, func(i int) { fd = router.in.Meta(i).FD })
	conn := Identify(fd)
	require.True(t, conn.Known())
	require.NoError(t, conn.Hangup())
	dealer.event(Disconnected)
	require.Equal(t, fd, router.event(Disconnected).FD)
}

// A descriptor that means another connection by now is left alone.
func TestHangupSparesTheNextConnection(t *testing.T) {
	pair := func() [2]int {
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		return p
	}
	old := pair()
	conn := Identify(old[0])
	require.True(t, conn.Known())
	require.NoError(t, unix.Close(old[0]))
	require.NoError(t, unix.Close(old[1]))
	require.ErrorIs(t, conn.Hangup(), ErrOtherConn, "nobody has it")
	young := pair()
	require.Contains(t, young, old[0], "the kernel gives the lowest descriptors")
	require.NotEqual(t, conn, Identify(old[0]))
	require.ErrorIs(t, conn.Hangup(), ErrOtherConn)
	_, err := unix.Write(young[0], []byte("still there"))
	require.NoError(t, err)
	require.NoError(t, Hangup(young[0]))
	_, err = unix.Write(young[1], []byte("gone"))
	require.ErrorIs(t, err, unix.EPIPE)
	require.NoError(t, unix.Close(young[0]))
	require.NoError(t, unix.Close(young[1]))
}

func TestWhatIsNoConnection(t *testing.T) {
	w, err := NewWake()
	require.NoError(t, err)
	require.False(t, Identify(w.fd).Known(), "an eventfd")
	require.NoError(t, w.Close())
	require.False(t, Identify(-1).Known())
	require.False(t, Conn{}.Known())
	require.ErrorIs(t, Conn{}.Hangup(), ErrOtherConn, "descriptor 0 is somebody else's")
}
