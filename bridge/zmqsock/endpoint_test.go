//go:build cgo

package zmqsock

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func addressOf(t *testing.T, fd int) string {
	t.Helper()
	name, err := unix.Getsockname(fd)
	require.NoError(t, err)
	in4, ok := name.(*unix.SockaddrInet4)
	require.True(t, ok)
	return fmt.Sprintf("127.0.0.1:%d", in4.Port)
}

func TestEndpointsWithAMistake(t *testing.T) {
	long := "ipc:///tmp/" + strings.Repeat("x", 103)
	for _, c := range []struct{ op, ep, remedy string }{
		{"bind", "", "write it as tcp://"},
		{"bind", "tcp://", "write it as tcp://"},
		{"bind", "127.0.0.1:5700", "write it as tcp://"},
		{"bind", "http://127.0.0.1:5700", `the transport "http" is not supported`},
		{"bind", "udp://127.0.0.1:5700", "use tcp, ipc or inproc"},
		{"connect", "pgm://eth0;239.192.1.1:5555", "use tcp, ipc or inproc"},
		{"bind", "tcp://127.0.0.1", "tcp://HOST:PORT"},
		{"bind", "tcp://:5700", "tcp://HOST:PORT"},
		{"bind", "tcp://::1:5700", "tcp://HOST:PORT"},
		{"bind", "tcp://127.0.0.1:", "not a number from 1 to 65535"},
		{"bind", "tcp://127.0.0.1:http", "not a number from 1 to 65535"},
		{"bind", "tcp://127.0.0.1:65536", "not a number from 1 to 65535"},
		{"bind", "tcp://127.0.0.1:-1", "not a number from 1 to 65535"},
		{"bind", "tcp://127.0.0.1:+80", "not a number from 1 to 65535"},
		{"connect", "tcp://127.0.0.1:0", "not a number from 1 to 65535"},
		{"connect", "tcp://127.0.0.1:*", "not a number from 1 to 65535"},
		{"connect", "ipc://*", "name the path"},
		{"bind", long, "108 bytes, a Unix socket's at most 107"},
		{"connect", long, "use a shorter one"},
	} {
		err := CheckEndpoint(c.op, c.ep)
		var bad *EndpointError
		require.ErrorAs(t, err, &bad, c.ep)
		require.ErrorIs(t, err, ErrBadEndpoint)
		require.Equal(t, c.op, bad.Op)
		require.Contains(t, err.Error(), "cannot "+c.op+" "+c.ep+": ")
		require.Contains(t, err.Error(), c.remedy)

		s := join(t, context(t), Config{Kind: Router})
		if c.op == "bind" {
			_, err = s.Bind(c.ep)
		} else {
			err = s.Connect(c.ep)
		}
		require.ErrorIs(t, err, ErrBadEndpoint)
	}
}

func TestEndpointsWithoutAMistake(t *testing.T) {
	for _, ep := range []string{
		"tcp://127.0.0.1:5700", "tcp://127.0.0.1:*", "tcp://localhost:0", "tcp://[::1]:65535", "tcp://eth0:1",
		"ipc://@abstract", "ipc://*", "ipc://" + strings.Repeat("x", 107), "inproc://a",
	} {
		require.NoError(t, CheckEndpoint("bind", ep))
	}
}

func TestLocal(t *testing.T) {
	for ep, local := range map[string]bool{
		"tcp://127.0.0.1:1": true, "tcp://127.9.9.9:1": true, "tcp://[::1]:1": true, "tcp://localhost:1": true, "tcp://lo:1": true,
		"ipc://x": true, "inproc://x": true,
		"tcp://0.0.0.0:1": false, "tcp://*:1": false, "tcp://eth0:1": false, "tcp://192.168.1.1:1": false, "tcp://[::]:1": false,
		"tcp://example.com:1": false, "tcp://127.0.0.1": false,
	} {
		require.Equal(t, local, Local(ep), ep)
	}
}

// bind fails with an EndpointError that names the cause and what to do.
func requireBindError(t *testing.T, ep string, cause error, remedy string) {
	t.Helper()
	s := join(t, context(t), Config{Kind: Router})
	_, err := s.Bind(ep)
	var bad *EndpointError
	require.ErrorAs(t, err, &bad)
	require.ErrorIs(t, err, cause)
	require.Contains(t, err.Error(), "cannot bind "+ep)
	require.Contains(t, err.Error(), remedy)
	_, err = s.Bind("tcp://127.0.0.1:0")
	require.NoError(t, err, "the socket goes on")
}

func TestBindErrors(t *testing.T) {
	live, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = live.Close() }()
	requireBindError(t, "tcp://"+live.Addr().String(), syscall.EADDRINUSE, "stop that one (`ss -ltnp`")
	requireBindError(t, "tcp://192.0.2.1:5700", unixError(t, "192.0.2.1:5700"), "no interface of this machine has that address")
	requireBindError(t, "tcp://no-such-interface:5700", syscall.ENODEV, "no interface of this machine has that address")
	requireBindError(t, "ipc://"+filepath.Join(t.TempDir(), "missing", "s"), syscall.ENOENT, "the folder does not exist: create it first")
}

// unixError returns what the system itself says about an address that is not this machine's.
func unixError(t *testing.T, addr string) error {
	t.Helper()
	_, err := net.Listen("tcp", addr)
	require.ErrorIs(t, err, syscall.EADDRNOTAVAIL)
	return syscall.EADDRNOTAVAIL
}

func TestBindWithoutRights(t *testing.T) {
	port, err := net.Listen("tcp", "127.0.0.1:1")
	if err == nil {
		_ = port.Close()
		t.Skip("this user may bind ports below 1024, so that none can be refused")
	}
	requireBindError(t, "tcp://127.0.0.1:1", syscall.EACCES, "choose a port above 1023")
}

func TestRemedies(t *testing.T) {
	for _, c := range []struct {
		err    error
		remedy string
	}{
		{syscall.EACCES, "choose a port above 1023, or a path in a folder that is yours"},
		{syscall.EPERM, "no right"},
		{syscall.EMFILE, "ulimit -n"},
		{ErrNotSocket, "binding would delete it"},
		{errors.New("who knows"), "try another one"},
	} {
		require.Contains(t, remedy("tcp://127.0.0.1:1", fmt.Errorf("wrapped: %w", c.err)), c.remedy)
	}
}

// A bound ipc path belongs to one socket; a second bind leaves the first alone.
func TestIPCPathInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	router, dealer, id := connected(t, "ipc://"+path, false)
	requireBindError(t, "ipc://"+path, syscall.EADDRINUSE, "`ss -lxp`")
	_, err := router.Bind("ipc://" + path)
	require.ErrorIs(t, err, syscall.EADDRINUSE, "by the same socket, too")
	router.send(id, message{[]byte("old connection")})
	dealer.receive(1)
	late := join(t, context(t), Config{Kind: Dealer})
	require.NoError(t, late.Connect("ipc://"+path))
	greet(t, router, late)
	require.NoError(t, router.Close())
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Empty(t, left, "neither socket nor lock file")
}

func TestInprocNameInUse(t *testing.T) {
	c := context(t)
	first, second := join(t, c, Config{Kind: Router}), join(t, c, Config{Kind: Router})
	_, err := first.Bind("inproc://taken")
	require.NoError(t, err)
	_, err = second.Bind("inproc://taken")
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	require.ErrorContains(t, err, "another socket of this process")
}

// What a crash leaves behind is no obstacle: a socket nobody listens on, and a lock file nobody locks.
func TestIPCPathLeftBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Bind(fd, &unix.SockaddrUnix{Name: path}))
	require.NoError(t, unix.Close(fd))
	require.NoError(t, os.WriteFile(path+".lock", nil, 0o600))
	router, dealer, id := connected(t, "ipc://"+path, false)
	router.send(id, frames(1))
	dealer.receive(1)
}

// libzmq's bind deletes what lies at the path; ours does not let it.
func TestIPCPathOfSomebodyElse(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("precious"), 0o600))
	requireBindError(t, "ipc://"+file, ErrNotSocket, "binding would delete it")
	kept, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "precious", string(kept))

	foreign := filepath.Join(dir, "foreign")
	live, err := net.Listen("unix", foreign)
	require.NoError(t, err)
	defer func() { _ = live.Close() }()
	requireBindError(t, "ipc://"+foreign, syscall.EADDRINUSE, "`ss -lxp`")
	conn, err := net.Dial("unix", foreign)
	require.NoError(t, err, "it goes on listening")
	require.NoError(t, conn.Close())
	left, err := filepath.Glob(filepath.Join(dir, "*.lock"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// At any time one holds the lock, although its file comes and goes.
func TestIPCLockIsHeldByOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	var holders, taken atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for taken.Load() < 500 {
				l, err := lockIPC(path)
				if err != nil {
					if !errors.Is(err, syscall.EADDRINUSE) {
						t.Error(err)
						return
					}
					continue
				}
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d hold the lock", n)
				}
				taken.Add(1)
				holders.Add(-1)
				l.release()
			}
		})
	}
	wg.Wait()
}

// Whoever closes a socket can bind its endpoint again at once.
func TestBindAgainAtOnce(t *testing.T) {
	for name, at := range transports(t) {
		t.Run(name, func(t *testing.T) {
			c := context(t)
			for i := range 50 {
				s, err := c.Open(Config{Kind: Router})
				require.NoError(t, err)
				if i%2 == 0 {
					require.NoError(t, c.Monitor(s))
				}
				at, err = s.Bind(at)
				require.NoError(t, err)
				require.NoError(t, s.Close())
			}
		})
	}
}

func TestChosenAddresses(t *testing.T) {
	c := context(t)
	for _, ep := range []string{"tcp://127.0.0.1:0", "tcp://127.0.0.1:*", "tcp://localhost:0", "tcp://[::1]:0", "ipc://*"} {
		t.Run(ep, func(t *testing.T) {
			router := join(t, c, Config{Kind: Router})
			at, err := router.Bind(ep)
			if errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
				t.Skipf("this machine has no such address: %v", err)
			}
			require.NoError(t, err)
			require.NoError(t, CheckEndpoint("connect", at), "it can be connected to")
			dealer := join(t, c, Config{Kind: Dealer})
			require.NoError(t, dealer.Connect(at))
			greet(t, router, dealer)
		})
	}
}

func TestConfigMistakes(t *testing.T) {
	c := context(t)
	for field, cfg := range map[string]Config{
		"Kind":             {},
		"Linger":           {Kind: Router, Linger: -1},
		"MaxMsgSize":       {Kind: Router, MaxMsgSize: -1},
		"SendHWM":          {Kind: Router, SendHWM: -1},
		"Promise":          {Kind: Router, Promise: -1},
		"Identity":         {Kind: Dealer, Identity: "\x00chosen"},
		"HeartbeatTimeout": {Kind: Dealer, Heartbeat: 2, HeartbeatTimeout: 1},
	} {
		_, err := c.Open(cfg)
		require.ErrorContains(t, err, field)
	}
	require.Error(t, (&Config{Kind: Dealer, Identity: strings.Repeat("i", 256)}).Validate())
}
