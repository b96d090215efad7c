package butterfly_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/butterfly"
)

func TestNetstrings(t *testing.T) {
	for text, want := range map[string]string{"0:,": "", "5:hello,": "hello", "12:a,b:c,d\x00e\nf\r,": "a,b:c,d\x00e\nf\r"} {
		got, err := butterfly.ReadNetstring(bufio.NewReader(strings.NewReader(text)), 100)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
		require.Equal(t, text, string(butterfly.AppendNetstring(nil, got)))
	}
	for _, text := range []string{":,", "x", "05:hello,", "-1:,", "101:", "99999999999999999999999:", "5:hello;", "5 :hello,"} {
		_, err := butterfly.ReadNetstring(bufio.NewReader(strings.NewReader(text)), 100)
		require.ErrorIs(t, err, butterfly.ErrBadNetstring, text)
	}
	for _, text := range []string{"5", "5:", "5:hell", "5:hello"} {
		_, err := butterfly.ReadNetstring(bufio.NewReader(strings.NewReader(text)), 100)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, text)
	}
	_, err := butterfly.ReadNetstring(bufio.NewReader(strings.NewReader("")), 100)
	require.ErrorIs(t, err, io.EOF)
}

func FuzzNetstrings(f *testing.F) {
	f.Add([]byte("5:hello,0:,"))
	f.Add([]byte("05:hello,"))
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bufio.NewReader(strings.NewReader(string(b)))
		var again []byte
		for {
			s, err := butterfly.ReadNetstring(in, 1000)
			if err != nil {
				break
			}
			again = butterfly.AppendNetstring(again, s)
		}
		require.True(t, strings.HasPrefix(string(b), string(again)), "what was read is what came")
	})
}

// Eight requests of one connection are all inside workers at once, and answered in order.
func TestPipelinedRequestsAreParallelAndInOrder(t *testing.T) {
	inside, gate := make(chan string, 8), make(chan struct{})
	s := newStage(t, works{"job": func(c ctx, r *request) (*answer, error) {
		inside <- string(r.Body())
		select {
		case <-gate:
		case <-c.Done():
			return nil, c.Err()
		}
		if string(r.Body()) == "5" {
			return nil, errors.New("five is right out")
		}
		return butterfly.Reply(200, "", append([]byte("did "), r.Body()...)), nil
	}}, butterfly.Config{Routes: routes("POST /job > job")})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.front.ServeNetstrings(ctx, l, "/job") }()
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	var all []byte
	for i := range 8 {
		all = butterfly.AppendNetstring(all, fmt.Append(nil, i))
	}
	_, err = c.Write(all)
	require.NoError(t, err)
	for range 8 {
		receive(t, inside, "all of them to be inside workers")
	}
	close(gate)
	in := bufio.NewReader(c)
	for i := range 8 {
		got, err := butterfly.ReadNetstring(in, 1<<20)
		require.NoError(t, err)
		if i == 5 {
			require.Contains(t, string(got), `"status":502`)
			continue
		}
		require.Equal(t, fmt.Sprint("did ", i), string(got))
	}
	_, err = c.Write([]byte("junk"))
	require.NoError(t, err)
	got, err := butterfly.ReadNetstring(in, 1<<20)
	require.NoError(t, err)
	require.Contains(t, string(got), `"status":400`)
	_, err = in.ReadByte()
	require.ErrorIs(t, err, io.EOF)
	stop()
	require.NoError(t, receive(t, ended, "the end"))
}

func TestRequestsWithoutHTTP(t *testing.T) {
	s := newStage(t, works{"echo": func(_ ctx, r *request) (*answer, error) {
		return butterfly.Reply(201, "text/plain", append([]byte(r.Method+r.Query+" "), r.Body()...)), nil
	}}, butterfly.Config{Routes: routes("/echo > echo")})
	r, err := s.front.Do(limited(t), "PUT", "/echo?a=b", nil, []byte("hello"))
	require.NoError(t, err)
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Equal(t, []any{201, "PUTa=b hello", "text/plain"}, []any{r.StatusCode, string(b), r.Header.Get("Content-Type")})
	r, err = s.front.Do(limited(t), "PUT", "/nowhere", nil, nil)
	require.NoError(t, err)
	require.Equal(t, 404, r.StatusCode)
}
