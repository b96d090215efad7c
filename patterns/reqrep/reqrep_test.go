package reqrep

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// N workers work on N requests at the same time.
func TestWorkersWorkAtTheSameTime(t *testing.T) {
	const n = 5
	var meeting sync.WaitGroup
	meeting.Add(n)
	s := newServer(t, ServerConfig{Workers: n, Handler: func(_ context.Context, r *Request) ([][]byte, error) {
		meeting.Done()
		meeting.Wait() // all are inside
		return r.Body, nil
	}})
	c := newClient(t, ClientConfig{Timeout: patience}, s.Addrs()...)
	calls := make([]*Call, n)
	for i := range calls {
		var err error
		calls[i], err = c.Go([]byte{byte(i)})
		require.NoError(t, err)
	}
	for i, call := range calls {
		answer, err := call.Wait(within(t))
		require.NoError(t, err)
		require.Equal(t, []byte{byte(i)}, answer[0])
	}
}

func TestErrorsAndPanicsAreAnswers(t *testing.T) {
	s := newServer(t, ServerConfig{Handler: func(_ context.Context, r *Request) ([][]byte, error) {
		switch string(r.Body[0]) {
		case "panic":
			panic("on purpose")
		case "many":
			return make([][]byte, maxFrames+1), nil
		}
		return nil, errors.New("no such thing")
	}})
	c := newClient(t, ClientConfig{Timeout: patience}, s.Addrs()...)
	for text, want := range map[string]string{"panic": "the handler has panicked: on purpose", "many": "41 frames", "other": "no such thing"} {
		_, err := c.Call(within(t), []byte(text))
		e := is(t, err, ErrService)
		require.Equal(t, Finished, e.Outcome)
		require.Contains(t, e.Text, want)
	}
	req := newPlain(t, zmqsock.Req)
	require.NoError(t, req.sock.Connect(s.Addrs()[0]))
	require.Zero(t, req.send("x"))
	require.Equal(t, []string{"ERROR: no such thing"}, req.receive())
	require.EqualValues(t, 4, s.Stats().Failed)
}

func TestLimitEndsTheHandlersContext(t *testing.T) {
	s := newServer(t, ServerConfig{Limit: time.Millisecond, Handler: func(ctx context.Context, _ *Request) ([][]byte, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}})
	_, err := newClient(t, ClientConfig{Timeout: patience}, s.Addrs()...).Call(within(t), []byte("x"))
	require.Contains(t, is(t, err, ErrService).Text, "the server's limit of 1ms is over")
}

// What makes no sense is counted, answers nobody, and harms nobody else.
func TestBadInputIsCounted(t *testing.T) {
	s := newServer(t, ServerConfig{MaxBody: 1000})
	c := newClient(t, ClientConfig{Timeout: patience}, s.Addrs()...)
	bad := newPlain(t, zmqsock.Dealer)
	require.NoError(t, bad.sock.Connect(s.Addrs()[0]))
	many := append([]string{""}, make([]string, maxFrames+1)...)
	for i, m := range [][]string{{"no empty frame"}, {""}, many, make([]string, 1), strings.Split(strings.Repeat("x,", 30)+"x", ",")} {
		require.Zero(t, bad.send(m...))
		eventually(t, func() bool { return s.Stats().Bad == uint64(i+1) }, "it is counted")
	}
	require.Zero(t, bad.send("", strings.Repeat("x", 1001))) // too large: it is disconnected, and connects again
	answer, err := c.Call(within(t), []byte("fine"))
	require.NoError(t, err)
	require.Equal(t, "fine", string(answer[0]))
	require.Zero(t, bad.send("", "fine"))
	require.EqualValues(t, 5, s.Stats().Bad)
}

// An answer over the client's limit is told as that: the request was done, and is not asked again.
func TestAnAnswerThatIsTooLarge(t *testing.T) {
	ran := make(chan struct{}, 10)
	s := newServer(t, ServerConfig{Handler: func(context.Context, *Request) ([][]byte, error) {
		ran <- struct{}{}
		return [][]byte{make([]byte, 1001)}, nil
	}})
	_, err := newClient(t, ClientConfig{MaxBody: 1000, Timeout: patience, Tries: 3}, s.Addrs()...).Call(within(t), []byte("x"))
	e := is(t, err, ErrTooLarge)
	require.Equal(t, Finished, e.Outcome)
	require.Contains(t, e.Text, "1001 bytes")
	require.Len(t, ran, 1)
}

// A server that says what was not asked cannot answer a call.
func TestBadAnswersAreCounted(t *testing.T) {
	router := newPlain(t, zmqsock.Router)
	at, err := router.sock.Bind("tcp://127.0.0.1:0")
	require.NoError(t, err)
	c := newClient(t, ClientConfig{Timeout: patience}, at)
	call, err := c.Go([]byte("question"))
	require.NoError(t, err)
	m := router.receive()
	foreign := string(makeID(c.token+2, 1))
	for i, frames := range [][]string{{"x"}, {m[1]}, {m[1], "full"}, {foreign, "", "x"}, {"", "x"}} {
		require.Zero(t, router.send(append([]string{m[0]}, frames...)...))
		eventually(t, func() bool { return c.Stats().Bad == uint64(i+1) }, "it is counted")
	}
	require.Zero(t, router.send(m[0], m[1], "", "answer"))
	answer, err := call.Wait(within(t))
	require.NoError(t, err)
	require.Equal(t, "answer", string(answer[0]))
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	entered := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := NewServer(ctx, ServerConfig{Bind: []string{"tcp://127.0.0.1:0"}, Logger: quiet, Workers: 1, Handler: func(ctx context.Context, _ *Request) ([][]byte, error) {
		close(entered)
		<-ctx.Done()
		return nil, errors.New("interrupted")
	}})
	require.NoError(t, err)
	c := newClient(t, ClientConfig{Timeout: patience}, s.Addrs()...)
	first, err := c.Go([]byte("first"))
	require.NoError(t, err)
	<-entered
	second, err := c.Go([]byte("second"))
	require.NoError(t, err)
	eventually(t, func() bool { return s.Stats().Waiting == 1 }, "the second one waits")
	cancel() // Ctrl-C
	<-s.Done()
	_, err = first.Wait(within(t))
	require.Equal(t, "interrupted", is(t, err, ErrService).Text, "what handlers say at last is sent")
	require.NoError(t, c.Close(within(t)))
	_, err = second.Wait(within(t))
	require.Equal(t, Unknown, is(t, err, ErrClosed).Outcome)
	_, err = c.Call(within(t), []byte("x"))
	require.Equal(t, NeverStarted, is(t, err, ErrClosed).Outcome)
}

func TestConfigIsChecked(t *testing.T) {
	for want, cfg := range map[string]ServerConfig{
		"Bind has 0": {Handler: echo}, "Handler are needed": {Bind: []string{"inproc://a"}}, "Workers -1": {Bind: []string{"inproc://a"}, Handler: echo, Workers: -1},
		"insist with Insecure": {Bind: []string{"tcp://0.0.0.0:1"}, Handler: echo},
	} {
		_, err := NewServer(context.Background(), cfg)
		require.ErrorContains(t, err, want)
	}
	for want, cfg := range map[string]ClientConfig{"Connect is empty": {}, "Tries -1": {Connect: []string{"inproc://a"}, Tries: -1}, "nonsense": {Connect: []string{"nonsense"}}} {
		_, err := NewClient(context.Background(), cfg)
		require.ErrorContains(t, err, want)
	}
	_, err := NewServer(context.Background(), ServerConfig{Bind: []string{"tcp://0.0.0.0:1"}, Handler: echo})
	require.ErrorIs(t, err, ErrInsecure)
	c := newClient(t, ClientConfig{Window: 1, Timeout: patience}, "inproc://nobody")
	_, err = c.Go()
	is(t, err, ErrTooLarge)
	_, err = c.Go([]byte("x"))
	require.NoError(t, err)
	_, err = c.Go([]byte("y"))
	is(t, err, ErrTooMany)
}
