package butterfly_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/butterfly"
)

// raw says something to the server as it is, and returns what comes back until the connection is closed.
func (s *stage) raw(text string) string {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	require.NoError(s.t, err)
	defer c.Close()
	require.NoError(s.t, c.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(c, text)
	require.NoError(s.t, err)
	got, _ := io.ReadAll(c)
	return string(got)
}

func TestMalformedHTTP(t *testing.T) {
	var mu sync.Mutex
	var served []string
	s := newStage(t, works{"echo": func(_ ctx, r *request) (*answer, error) {
		mu.Lock()
		defer mu.Unlock()
		served = append(served, r.Path)
		return butterfly.Reply(200, "", r.Body()), nil
	}}, butterfly.Config{Routes: routes("/ > echo"), ReadTimeout: 300 * time.Millisecond, MaxHeader: 8 << 10})
	for name, text := range map[string]string{
		"two lengths":        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\nConnection: close\r\n\r\nabcd",
		"bad length":         "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\nConnection: close\r\n\r\nabc",
		"odd encoding":       "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\nConnection: close\r\n\r\n0\r\n\r\n",
		"bad chunk":          "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
		"no host":            "GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
		"space in a name":    "GET / HTTP/1.1\r\nHost : x\r\nConnection: close\r\n\r\n",
		"header flood":       "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 64<<10) + "\r\n\r\n",
		"no HTTP":            "\x16\x03\x01\x02\x00\r\n\r\n",
		"slow headers":       "GET / HTTP/1.1\r\nHost: x\r\n",
		"slow body":          "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nConnection: close\r\n\r\nabc",
		"short chunked body": "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nab",
		"asterisk":           "GET * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	} {
		got := s.raw(text)
		require.NotContains(t, got, "HTTP/1.1 200", name)
		require.NotContains(t, got, "HTTP/1.1 502", name)
	}
	mu.Lock()
	require.Empty(t, served, "nothing of it got to a worker")
	mu.Unlock()
	require.Equal(t, "still here", s.do("POST", "/", "still here").body, "other requests are unharmed")
	require.Contains(t, s.raw("GET / HTTP/1.0\r\n\r\n"), "HTTP/1.0 200 OK")

	c, err := net.Dial("tcp", s.addr) // keep-alive and pipelining, in order
	require.NoError(t, err)
	defer c.Close()
	_, err = io.WriteString(c, strings.Repeat("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n7", 3))
	require.NoError(t, err)
	in := bufio.NewReader(c)
	for range 3 {
		r, err := http.ReadResponse(in, nil)
		require.NoError(t, err)
		b, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.NoError(t, r.Body.Close())
		require.Equal(t, "7", string(b))
	}
}
