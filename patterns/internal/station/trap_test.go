package station

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is the safety net of every wait: no test passes because of it.
const patience = 30 * time.Second

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// listener is a station that passes on what comes at its PULL sockets.
func listener(t *testing.T, sockets int, turn func(time.Duration) (int, time.Duration)) (*Station, []string, <-chan string) {
	t.Helper()
	s, err := New(Config{Name: "listener", Logger: quiet, Turn: turn, Batch: 16, Poison: true})
	require.NoError(t, err)
	heard := make(chan string, 10_000)
	var at []string
	for range sockets {
		p, err := s.Open(Spec{Config: zmqsock.Config{Kind: zmqsock.Pull}, Bind: []string{"tcp://127.0.0.1:0"}, Hear: func(in *zmqsock.In, i int) {
			text := string(in.Frames(i, nil)[0])
			if text == "mistake" {
				panic("on purpose")
			}
			heard <- text
		}})
		require.NoError(t, err)
		at = append(at, p.Addrs()...)
	}
	s.Run(context.Background())
	t.Cleanup(func() { _ = s.Close(within(t)) })
	return s, at, heard
}

// talker pushes to each of the endpoints.
func talker(t *testing.T, at []string) (say func(to int, texts ...string)) {
	t.Helper()
	out := zmqsock.NewOut()
	s, err := New(Config{Name: "talker", Logger: quiet, Turn: func(time.Duration) (int, time.Duration) {
		n := out.Len()
		require.Zero(t, out.Send())
		out.Reset()
		return n, -1
	}, End: out.Free})
	require.NoError(t, err)
	var ports []*Port
	for _, ep := range at {
		p, err := s.Open(Spec{Config: zmqsock.Config{Kind: zmqsock.Push, Linger: time.Second}, Connect: []string{ep}})
		require.NoError(t, err)
		ports = append(ports, p)
	}
	s.Run(context.Background())
	t.Cleanup(func() { require.NoError(t, s.Close(within(t))) })
	return func(to int, texts ...string) {
		require.True(t, s.Do(func() {
			for _, text := range texts {
				out.Add(ports[to].Sock, nil, false)
				out.Append([]byte(text))
			}
		}))
	}
}

func idle(time.Duration) (int, time.Duration) { return 0, -1 }

// A poll says once that a socket is readable although many messages wait: who reads one per poll falls asleep over the others. Here the socket is drained.
func TestAllOfManyMessagesBehindOneSignalAreRead(t *testing.T) {
	_, at, heard := listener(t, 1, idle)
	say := talker(t, at)
	for _, n := range []int{1, 15, 16, 17, 1000} {
		texts := make([]string, n)
		for i := range texts {
			texts[i] = strconv.Itoa(i)
		}
		say(0, texts...)
		for i := range n {
			select {
			case text := <-heard:
				require.Equal(t, texts[i], text)
			case <-time.After(patience):
				require.FailNow(t, "asleep over messages", "%d of %d were read", i, n)
			}
		}
	}
}

// Several sockets are waited for at once, and none starves beside a busy one.
func TestSeveralSocketsAreWaitedForAtOnce(t *testing.T) {
	_, at, heard := listener(t, 3, idle)
	say := talker(t, at)
	many := make([]string, 500)
	for i := range many {
		many[i] = "busy"
	}
	say(0, many...)
	say(1, "one")
	say(2, "two")
	count := map[string]int{}
	for range 502 {
		select {
		case text := <-heard:
			count[text]++
		case <-time.After(patience):
			require.FailNow(t, "a socket starves", "%v", count)
		}
	}
	require.Equal(t, map[string]int{"busy": 500, "one": 1, "two": 1}, count)
}

// A wait ends when its time is over though nothing comes.
func TestWaitEndsWithItsTime(t *testing.T) {
	turns := make(chan time.Duration, 100)
	listener(t, 1, func(now time.Duration) (int, time.Duration) {
		select {
		case turns <- now:
		default:
		}
		return 0, time.Millisecond
	})
	for range 3 {
		select {
		case <-turns:
		case <-time.After(patience):
			require.FailNow(t, "asleep beyond its time")
		}
	}
}

// Fail fast inside: a mistake in a pattern ends it, says so, and leaves the process and its other stations alone. (Tolerance outside is in the TestBadInput... of each pattern.)
func TestMistakeInsideEndsTheStationAlone(t *testing.T) {
	s, at, _ := listener(t, 1, idle)
	_, otherAt, heard := listener(t, 1, idle)
	say := talker(t, append(at, otherAt...))
	say(0, "mistake")
	<-s.Done()
	require.ErrorIs(t, s.Err(), ErrInternal)
	require.ErrorContains(t, s.Err(), "on purpose")
	require.False(t, s.Do(func() {}))
	say(1, "still here")
	select {
	case text := <-heard:
		require.Equal(t, "still here", text)
	case <-time.After(patience):
		require.FailNow(t, "the other station is harmed")
	}
}
