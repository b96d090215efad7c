package zmqsock_test

import (
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// What has come and was not taken out is no silence: whoever does not read is late itself.
func TestWhatWaitsToBeReadIsNoSilence(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	said, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer said.Close()
	heard, err := l.Accept()
	require.NoError(t, err)
	defer heard.Close()
	raw, err := heard.(syscall.Conn).SyscallConn()
	require.NoError(t, err)
	silence := func() (s zmqsock.Silence) {
		require.NoError(t, raw.Control(func(fd uintptr) {
			var known bool
			s, known = zmqsock.Identify(int(fd)).Silence()
			require.True(t, known)
		}))
		return s
	}
	_, err = said.Write([]byte("hello"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return silence().For == 0 }, 30*time.Second, time.Millisecond)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 10 {
		<-tick.C
		require.Zero(t, silence().For, "it waits, however long ago it came")
	}
	_, err = heard.Read(make([]byte, 5))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return silence().For > 0 }, 30*time.Second, time.Millisecond)
}
