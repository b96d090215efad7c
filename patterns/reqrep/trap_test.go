package reqrep

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// A plain REQ refuses a second send before the answer of the first; a Client has any number of requests under way.
func TestNoLockstep(t *testing.T) {
	for name, at := range transports(t) {
		t.Run(name, func(t *testing.T) {
			open := make(chan struct{})
			s := newServer(t, ServerConfig{Bind: []string{at}, Workers: 2, Handler: func(_ context.Context, r *Request) ([][]byte, error) {
				if string(r.Body[0]) == "first" {
					<-open
				}
				return r.Body, nil
			}})
			req := newPlain(t, zmqsock.Req)
			require.NoError(t, req.sock.Connect(s.Addrs()[0]))
			require.Zero(t, req.send("one"))
			require.Equal(t, 1, req.send("two"), "the trap: a REQ is in lockstep")
			require.Equal(t, []string{"one"}, req.receive())

			c := newClient(t, ClientConfig{}, s.Addrs()...)
			first, err := c.Go([]byte("first"))
			require.NoError(t, err)
			second, err := c.Call(within(t), []byte("second"), nil, []byte("part"))
			require.NoError(t, err)
			require.Equal(t, [][]byte{[]byte("second"), {}, []byte("part")}, second, "it does not wait for the first")
			close(open)
			answer, err := first.Wait(within(t))
			require.NoError(t, err)
			require.Equal(t, "first", string(answer[0]))
		})
	}
}

// Many goroutines share one client, and each gets its own answers.
func TestAnswersFindTheirQuestions(t *testing.T) {
	s := newServer(t, ServerConfig{Workers: 8})
	c := newClient(t, ClientConfig{Timeout: patience}, s.Addrs()...)
	ctx := within(t)
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := range 100 {
				text := fmt.Sprint(g, " ", i)
				answer, err := c.Call(ctx, []byte(text))
				if err != nil || string(answer[0]) != text {
					t.Errorf("%s: %s, %v", text, answer, err)
					return
				}
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1600, s.Stats().Requests)
	eventually(t, func() bool { return c.Stats().Answered == 1600 && c.Stats().Open == 0 }, "all are answered")
}

// A plain REQ waits for ever for an answer that was lost. The lazy pirate asks again.
func TestLostAnswerIsAskedForAgain(t *testing.T) {
	router := newPlain(t, zmqsock.Router)
	at, err := router.sock.Bind("tcp://127.0.0.1:0")
	require.NoError(t, err)
	c := newClient(t, ClientConfig{Timeout: 50 * time.Millisecond, Tries: 1000}, at)
	call, err := c.Go([]byte("question"))
	require.NoError(t, err)
	lost := router.receive()
	again := router.receive()
	require.Equal(t, lost[1:], again[1:], "the same number")
	eventually(t, func() bool { // an answer may go to a connection that was made anew meanwhile
		router.send(again[0], again[1], "", "answer")
		n, err := router.in.Recv(router.sock, 1, 0)
		require.NoError(t, err)
		if n > 0 {
			again = again[:0]
			for _, f := range router.in.Frames(0, nil) {
				again = append(again, string(f))
			}
			router.in.Clear(true)
		}
		return call.over()
	}, "an answer")
	answer, err := call.Wait(within(t))
	require.NoError(t, err)
	require.Equal(t, "answer", string(answer[0]))
	require.Positive(t, c.Stats().Retries)
}

// A server may end and another take its place: callers do not notice.
func TestServerComesBack(t *testing.T) {
	at := "ipc://" + filepath.Join(t.TempDir(), "s")
	c := newClient(t, ClientConfig{Timeout: 100 * time.Millisecond, Tries: 300}, at)
	for i := range 3 {
		call, err := c.Go(fmt.Append(nil, i)) // before there is a server
		require.NoError(t, err)
		s, err := NewServer(context.Background(), ServerConfig{Bind: []string{at}, Handler: echo, Logger: quiet})
		require.NoError(t, err)
		answer, err := call.Wait(within(t))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(i), string(answer[0]))
		require.NoError(t, s.Close(within(t)))
	}
}

// Where the first server is silent the next one is asked, and stays the one that is asked.
func TestNextServerIsAsked(t *testing.T) {
	silent := newPlain(t, zmqsock.Router)
	at, err := silent.sock.Bind("tcp://127.0.0.1:0")
	require.NoError(t, err)
	s := newServer(t, ServerConfig{})
	c := newClient(t, ClientConfig{Timeout: 100 * time.Millisecond, Tries: 300}, at, s.Addrs()[0])
	for range 2 {
		_, err = c.Call(within(t), []byte("question"))
		require.NoError(t, err)
	}
	require.Positive(t, c.Stats().Retries)
}

// After the last try the error says what was done, and that the outcome is open.
func TestSilenceIsAnErrorAtLast(t *testing.T) {
	silent := newPlain(t, zmqsock.Router)
	at, err := silent.sock.Bind("tcp://127.0.0.1:0")
	require.NoError(t, err)
	c := newClient(t, ClientConfig{Timeout: time.Millisecond, Tries: 2}, at)
	_, err = c.Call(within(t), []byte("question"))
	e := is(t, err, ErrNoAnswer)
	require.Equal(t, Unknown, e.Outcome)
	require.Equal(t, 2, e.Tries)
	require.Equal(t, at, e.Server)
	require.Contains(t, e.Error(), "outcome unknown")
}

// A request that is tried again while, or after, it is worked on is done once.
func TestAskedTwiceDoneOnce(t *testing.T) {
	open, runs := make(chan struct{}), atomic.Int64{}
	s := newServer(t, ServerConfig{Handler: func(_ context.Context, r *Request) ([][]byte, error) {
		runs.Add(1)
		<-open
		return r.Body, nil
	}})
	c := newClient(t, ClientConfig{Timeout: 50 * time.Millisecond, Tries: 600}, s.Addrs()...)
	call, err := c.Go([]byte("question"))
	require.NoError(t, err)
	eventually(t, func() bool { return s.Stats().Again >= 2 }, "it has come again")
	close(open)
	answer, err := call.Wait(within(t))
	require.NoError(t, err)
	require.Equal(t, "question", string(answer[0]))
	require.EqualValues(t, 1, runs.Load())

	peer := newPlain(t, zmqsock.Dealer)
	require.NoError(t, peer.sock.Connect(s.Addrs()[0]))
	id := string(makeID(7, 1))
	for range 3 {
		peer.send(id, "", "other")
		require.Equal(t, []string{id, "", "other"}, peer.receive(), "from memory")
	}
	require.EqualValues(t, 2, runs.Load())
}

// An answer that comes too late is counted, and never answers another request.
func TestLateAnswerIsDropped(t *testing.T) {
	open := make(chan struct{})
	s := newServer(t, ServerConfig{Handler: func(_ context.Context, r *Request) ([][]byte, error) {
		if string(r.Body[0]) == "slow" {
			<-open
		}
		return r.Body, nil
	}})
	c := newClient(t, ClientConfig{Timeout: patience}, s.Addrs()...)
	ctx, cancel := context.WithCancelCause(context.Background())
	why := fmt.Errorf("enough")
	call, err := c.Go([]byte("slow"))
	require.NoError(t, err)
	eventually(t, func() bool { return s.Stats().Requests == 1 }, "the request is there")
	cancel(why)
	_, err = call.Wait(ctx)
	e := is(t, err, ErrNoAnswer)
	require.ErrorIs(t, e, why)
	require.Equal(t, Unknown, e.Outcome)
	close(open)
	eventually(t, func() bool { return c.Stats().Late == 1 }, "the late answer")
	answer, err := c.Call(within(t), []byte("next"))
	require.NoError(t, err)
	require.Equal(t, "next", string(answer[0]))
}

// What is beyond workers and queue is refused at once, not forgotten.
func TestFullServerSaysBusy(t *testing.T) {
	open := make(chan struct{})
	s := newServer(t, ServerConfig{Workers: 1, Queue: 1, Handler: func(context.Context, *Request) ([][]byte, error) { <-open; return nil, nil }})
	c := newClient(t, ClientConfig{Timeout: patience, Window: 3}, s.Addrs()...)
	var calls []*Call
	for i := range 2 {
		call, err := c.Go([]byte{byte(i)})
		require.NoError(t, err)
		calls = append(calls, call)
		eventually(t, func() bool { n := s.Stats(); return n.Requests == uint64(i+1) && n.Waiting == i }, "it is taken")
	}
	_, err := c.Call(within(t), []byte("third"))
	e := is(t, err, ErrBusy)
	require.Equal(t, NeverStarted, e.Outcome)
	require.EqualValues(t, 1, s.Stats().Busy)
	_, err = c.Go([]byte("takes the window's last place, and is refused"))
	require.NoError(t, err)
	eventually(t, func() bool { return c.Stats().Open == 2 }, "it is refused")
	close(open)
	for _, call := range calls {
		answer, err := call.Wait(within(t))
		require.NoError(t, err)
		require.Empty(t, answer)
	}
}
