package harness_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/test/harness"
)

// echoes is a server that sends back each line.
func echoes(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				lines := bufio.NewReader(c)
				for {
					line, err := lines.ReadString('\n')
					_, _ = io.WriteString(c, line)
					if err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	return "tcp://" + l.Addr().String()
}

// caller is a connection through a link.
type caller struct {
	net.Conn
	lines *bufio.Reader
}

func call(t *testing.T, l *harness.Link) caller {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(l.Endpoint, "tcp://"))
	require.NoError(t, err)
	require.NoError(t, c.SetDeadline(time.Now().Add(harness.Patience)))
	t.Cleanup(func() { _ = c.Close() })
	return caller{c, bufio.NewReader(c)}
}

func (c caller) say(t *testing.T, line string) {
	t.Helper()
	_, err := io.WriteString(c, line+"\n")
	require.NoError(t, err)
}

func (c caller) hear(t *testing.T) string {
	t.Helper()
	line, err := c.lines.ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line)
}

func TestLinkPassesOn(t *testing.T) {
	l := harness.NewLink(t, "link", echoes(t))
	seen := map[harness.Direction]*strings.Builder{harness.Up: {}, harness.Down: {}}
	var mu sync.Mutex
	l.Watch(func(way harness.Direction, connection uint64) harness.Tap {
		require.EqualValues(t, 1, connection)
		return func(b []byte) {
			mu.Lock()
			defer mu.Unlock()
			seen[way].Write(b)
		}
	})
	c := call(t, l)
	for _, word := range []string{"one", "two"} {
		c.say(t, word)
		require.Equal(t, word, c.hear(t))
	}
	_, err := io.WriteString(c, "last words")
	require.NoError(t, err)
	require.NoError(t, c.Conn.(*net.TCPConn).CloseWrite())
	rest, err := io.ReadAll(c.lines)
	require.NoError(t, err, "an end is passed on as an end")
	require.Equal(t, "last words", string(rest))
	harness.Until(t, "the connection is over", func() bool { return l.Connections() == 0 })
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, "one\ntwo\nlast words", seen[harness.Up].String())
	require.Equal(t, "one\ntwo\nlast words", seen[harness.Down].String())
}

// TestSilence: nothing arrives, nobody is told, and nothing is lost.
func TestSilence(t *testing.T) {
	l := harness.NewLink(t, "link", echoes(t))
	c := call(t, l)
	c.say(t, "before")
	require.Equal(t, "before", c.hear(t))
	l.Silence()
	l.Silence()
	c.say(t, "while")
	late := call(t, l)
	late.say(t, "late")
	require.NoError(t, c.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
	_, err := c.lines.ReadString('\n')
	var timeout net.Error
	require.True(t, errors.As(err, &timeout) && timeout.Timeout(), "%v", err)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(harness.Patience)))
	l.Heal()
	require.Equal(t, "while", c.hear(t))
	require.Equal(t, "late", late.hear(t))
}

func TestCutAndRefuse(t *testing.T) {
	l := harness.NewLink(t, "link", echoes(t))
	c := call(t, l)
	c.say(t, "one")
	require.Equal(t, "one", c.hear(t))
	l.Cut()
	_, err := c.lines.ReadByte()
	require.Error(t, err)
	again := call(t, l)
	again.say(t, "two")
	require.Equal(t, "two", again.hear(t))
	l.Refuse()
	_, err = again.lines.ReadByte()
	require.Error(t, err)
	refused := call(t, l)
	_, err = refused.lines.ReadByte()
	require.Error(t, err)
	l.Heal()
	back := call(t, l)
	back.say(t, "three")
	require.Equal(t, "three", back.hear(t))
}

// TestDelay: bytes come in order, none before its time.
func TestDelay(t *testing.T) {
	l := harness.NewLink(t, "link", echoes(t))
	c := call(t, l)
	const lag = 20 * time.Millisecond
	l.Delay(lag)
	began := time.Now()
	c.say(t, "one")
	c.say(t, "two")
	require.Equal(t, "one", c.hear(t))
	require.GreaterOrEqual(t, time.Since(began), 2*lag, "once on each way")
	require.Equal(t, "two", c.hear(t))
	l.Delay(0)
	c.say(t, "three")
	require.Equal(t, "three", c.hear(t))
}

// TestLinkUnderTroupe: calls go through a link, which is silent for a while and then cut.
func TestLinkUnderTroupe(t *testing.T) {
	s := harness.New(t, harness.Config{})
	s.Broker()
	l := harness.NewLink(t, "w1's cable", s.Workers)
	s.WorkerProcess("w1", "--broker", l.Endpoint)
	c, ctx := s.Client(), harness.Context(t)
	reply, err := c.Do(ctx, "upper", []byte("one"))
	require.NoError(t, err)
	require.Equal(t, "ONE", string(reply))
	l.Silence()
	l.Heal()
	_, err = c.Do(ctx, "upper", []byte("two"))
	require.NoError(t, err)
	s.ExpectNone()
	l.Cut()
	s.Expect(harness.Want{Is: "GONE", Of: "w1"})
	_, err = c.Do(ctx, "upper", []byte("three"))
	require.NoError(t, err, "it comes back by itself")
	s.ExpectNone()
}
