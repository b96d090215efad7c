package notify_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/supervision/notify"
)

// told returns a listener, and the teller of a process with its environment and more of it.
func told(t *testing.T, limit time.Duration, more ...string) (*notify.Listener, *notify.Teller) {
	t.Helper()
	l, err := notify.Listen()
	require.NoError(t, err)
	t.Cleanup(l.Close)
	for _, v := range append(l.Env(limit), more...) {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	return l, notify.FromEnv()
}

func TestWords(t *testing.T) {
	l, p := told(t, 3*time.Second)
	require.Equal(t, 3*time.Second, p.Limit())
	require.Equal(t, notify.Said{}, l.Hear())
	p.Ready()
	p.Beat()
	p.Beat()
	require.Equal(t, notify.Said{Beats: 2, Ready: true}, l.Hear())
	p.Stopping()
	p.Beat()
	p.Trigger()
	require.Equal(t, notify.Said{Beats: 3, Ready: true, Stopping: true, Gives: true}, l.Hear())
	require.Empty(t, os.Getenv(notify.SocketVar), "it is not for the programs that this one starts")
	require.Empty(t, os.Getenv(notify.LimitVar))
	require.Nil(t, notify.FromEnv())
}

// TestNobodyWaits: a listener that does not listen holds nobody up.
func TestNobodyWaits(t *testing.T) {
	l, p := told(t, 0)
	for range 10_000 {
		p.Beat()
	}
	beats := l.Hear().Beats
	require.NotZero(t, beats)
	require.Less(t, beats, uint64(10_000))
	p.Beat()
	require.Equal(t, beats+1, l.Hear().Beats, "there is room again")
	l.Close()
	p.Beat()
}

func TestWhomItConcerns(t *testing.T) {
	_, p := told(t, time.Second, notify.ForVar+"="+strconv.Itoa(os.Getpid()))
	require.Equal(t, time.Second, p.Limit())
	_, p = told(t, time.Second, notify.ForVar+"=1")
	require.Zero(t, p.Limit(), "another process is to give the pulse")
	require.NotNil(t, p)
	_, p = told(t, time.Second, notify.LimitVar+"=soon")
	require.Zero(t, p.Limit())
	_, p = told(t, time.Second, notify.SocketVar+"=vsock:2:1")
	require.Nil(t, p)
	require.Zero(t, p.Limit())
	p.Beat()
}

func TestOtherWords(t *testing.T) {
	l, p := told(t, time.Second)
	p.Say("WATCHDOG_USEC=60000000\nSTATUS=reading = writing\nMAINPID=1\nWATCHDOG=1\n")
	require.Equal(t, notify.Said{Beats: 1, Asked: time.Minute, Status: "reading = writing"}, l.Hear())
	p.Say("WATCHDOG_USEC=-1")
	p.Say("WATCHDOG_USEC=99999999999999999999")
	p.Say("")
	p.Say("READY=no")
	require.Equal(t, notify.Said{Beats: 1, Asked: time.Minute, Status: "reading = writing"}, l.Hear())
}

func TestWithout(t *testing.T) {
	require.Equal(t, []string{"A=1", "NOTIFY=2"}, notify.Without([]string{"A=1", "NOTIFY_SOCKET=/run/x", "WATCHDOG_USEC=1", "NOTIFY=2", "WATCHDOG_PID=7"}))
}
