//go:build cgo

package zmqsock

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(all)
}

func TestSocketsLeaveNoDescriptors(t *testing.T) {
	paths(t, func(t *testing.T, perFrame bool) {
		before := descriptors(t)
		c, err := NewContext()
		require.NoError(t, err)
		for i := range 200 {
			cfg := Config{Kind: Router, PerFrame: perFrame}
			if i%2 == 1 {
				cfg.Kind = Dealer
			}
			s, err := c.Open(cfg)
			require.NoError(t, err)
			require.NoError(t, c.Monitor(s))
			if cfg.Kind == Router {
				_, err = s.Bind("tcp://127.0.0.1:0")
			} else {
				err = s.Connect("tcp://127.0.0.1:1")
			}
			require.NoError(t, err)
			require.NoError(t, s.Close())
			require.NoError(t, s.Close(), "closing twice")
		}
		require.NoError(t, c.Term())
		eventually(t, func() bool { return descriptors(t) <= before }, "all descriptors are given back")
	})
}

// A monitored socket takes three of libzmq's: its default limit of 1,023 would be 341 of ours.
func TestContextHoldsManySockets(t *testing.T) {
	c := context(t)
	for range 400 {
		s, err := c.Open(Config{Kind: Dealer})
		require.NoError(t, err)
		require.NoError(t, c.Monitor(s))
		defer func() { _ = s.Close() }()
	}
}

// What nobody takes does not keep a closed socket from ending: the context's end, which the test waits for, comes after the linger.
func TestLingerIsFinite(t *testing.T) {
	paths(t, func(t *testing.T, perFrame bool) {
		c := context(t)
		silent, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		defer func() { _ = unix.Close(silent) }()
		require.NoError(t, unix.Bind(silent, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
		require.NoError(t, unix.Listen(silent, 1))
		dealer := join(t, c, Config{Kind: Dealer, PerFrame: perFrame})
		require.NoError(t, dealer.Connect("tcp://"+addressOf(t, silent)))
		require.NoError(t, dealer.Connect("inproc://nobody"))
		dealer.send(nil, frames(3), message{filled(1<<20, 'x')})
	})
}

// What was sent before Close arrives, whichever side closes, and whether it is waited for or not.
func TestLingerSendsLastWords(t *testing.T) {
	for name, at := range transports(t) {
		t.Run(name, func(t *testing.T) {
			for _, monitored := range []bool{false, true} {
				c := context(t)
				router := join(t, c, Config{Kind: Router, Linger: patience})
				other := join(t, c, Config{Kind: Router})
				if monitored {
					require.NoError(t, c.Monitor(router.Socket))
				}
				addr, err := router.Bind(at)
				require.NoError(t, err)
				otherAddr, err := other.Bind(transports(t)[name])
				require.NoError(t, err)
				dealer := join(t, c, Config{Kind: Dealer, Linger: patience})
				if monitored {
					require.NoError(t, c.Monitor(dealer.Socket))
				}
				require.NoError(t, dealer.Connect(addr))
				id := greet(t, router, dealer)
				const n = 700
				for range n {
					router.send(id, message{[]byte("last"), []byte("words"), filled(1000, 'w')})
				}
				require.NoError(t, router.Close())
				for range n {
					require.Equal(t, "words", string(dealer.receive(1)[0][1]))
				}
				leaving := join(t, c, Config{Kind: Dealer, Linger: patience})
				require.NoError(t, leaving.Connect(otherAddr))
				greet(t, other, leaving)
				for range n {
					leaving.send(nil, message{[]byte("last"), []byte("words"), filled(1000, 'w')})
				}
				require.NoError(t, leaving.Close())
				for range n {
					require.Equal(t, "words", string(other.receive(1)[0][2]))
				}
			}
		})
	}
}

// Many more events than libzmq's default limit may wait unread; nothing stands still meanwhile, and the socket closes.
func TestMonitorThatNobodyReads(t *testing.T) {
	c := context(t)
	router := join(t, c, Config{Kind: Router})
	require.NoError(t, c.Monitor(router.Socket))
	addr, err := router.Bind("ipc://" + filepath.Join(t.TempDir(), "s"))
	require.NoError(t, err)
	for range 1500 { // three events each
		eventually(t, func() bool { // while libzmq is behind with accepting, the kernel refuses
			conn, err := net.Dial("unix", strings.TrimPrefix(addr, "ipc://"))
			return err == nil && conn.Close() == nil
		}, "a connection")
	}
	dealer := join(t, c, Config{Kind: Dealer})
	require.NoError(t, dealer.Connect(addr))
	greet(t, router, dealer)
	n := 0
	eventually(t, func() bool { n += len(router.Events(nil)); return n > 3000 }, "all events")
}

func TestBatchesAreReused(t *testing.T) {
	router, dealer, id := connected(t, "tcp://127.0.0.1:0", false)
	for i := range 50 {
		for range 3 {
			router.out.Add(router.Socket, id, false)
			for n := range 40 {
				router.out.Append(filled(n*2000+i, byte(n)))
			}
		}
		require.Equal(t, 3, router.out.Len())
		require.Zero(t, router.out.Send())
		router.out.Reset()
		require.Zero(t, router.out.Len())
		require.Zero(t, router.out.Bytes())
		require.LessOrEqual(t, len(router.out.spare), 4)
		for _, m := range dealer.receive(3) {
			for n := range m {
				require.Equal(t, filled(n*2000+i, byte(n)), m[n])
			}
		}
	}
	router.out.Free()
	router.send(id, message{[]byte("used after Free")})
	dealer.receive(1)
}

func TestReceiveAfterTheEndOfTheContext(t *testing.T) {
	paths(t, func(t *testing.T, perFrame bool) {
		c, err := NewContext()
		require.NoError(t, err)
		p := join(t, c, Config{Kind: Dealer, PerFrame: perFrame})
		ended := make(chan error)
		go func() { ended <- c.Term() }()
		eventually(t, func() bool {
			_, err := p.in.Recv(p.Socket, 1, 0)
			if err != nil {
				require.ErrorIs(t, err, ErrClosed)
			}
			return err != nil
		}, "the socket notices the end of its context")
		require.NoError(t, p.Close())
		require.NoError(t, <-ended)
	})
}

func TestWake(t *testing.T) {
	wait := func(t *testing.T, p *Poller) chan error {
		done := make(chan error, 1)
		go func() { done <- p.Wait(patience) }()
		return done
	}
	for name, slow := range map[string]bool{"batch": false, "binding": true} {
		t.Run(name, func(t *testing.T) {
			if slow {
				withoutLayout(t)
			}
			p := join(t, context(t), Config{Kind: Router})
			p.wake.Wake()
			p.wake.Wake()
			require.NoError(t, <-wait(t, p.poll), "woken before it slept")
			done := wait(t, p.poll)
			p.wake.Wake()
			require.NoError(t, <-done)
		})
	}
}

func TestPollerWithoutSockets(t *testing.T) {
	w, err := NewWake()
	require.NoError(t, err)
	p := NewPoller(w)
	require.NoError(t, p.Wait(0))
	w.Wake()
	require.NoError(t, p.Wait(-1))
	require.NoError(t, w.Close())
}

// A Wake that comes late must not write to whatever has the descriptor by now.
func TestWakeAfterCloseTouchesNothing(t *testing.T) {
	w, err := NewWake()
	require.NoError(t, err)
	fd := w.fd
	require.NoError(t, w.Close())
	require.NoError(t, w.Close(), "closing twice")
	other, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	require.NoError(t, err)
	defer func() { _ = unix.Close(other) }()
	require.Equal(t, fd, other, "the kernel gives the lowest descriptor")
	w.Wake()
	_, err = unix.Read(other, make([]byte, 8))
	require.ErrorIs(t, err, unix.EAGAIN)
}

// withoutLayout makes the package believe that the binding has changed.
func withoutLayout(t *testing.T) {
	t.Helper()
	before := layout
	layout = ErrLayout
	t.Cleanup(func() { layout = before })
}

func TestLayout(t *testing.T) {
	require.NoError(t, CheckLayout(), "the batch shim would be off")
	withoutLayout(t)
	router, dealer, id := connected(t, "tcp://127.0.0.1:0", false)
	require.False(t, router.Batched())
	router.send(id, frames(5))
	require.Equal(t, frames(5), dealer.receive(1)[0])
}
