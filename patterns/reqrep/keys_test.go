package reqrep

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/internal/keytest"
)

// TestOnlyListedKeysAreAnswered: with keys all is encrypted, and who is not listed for the service gets no answer, nor does its request run.
func TestOnlyListedKeysAreAnswered(t *testing.T) {
	ring := keytest.New(t)
	good, other := ring.Grant("good", "sums"), ring.Grant("other", "news")
	asked := make(chan string, 10)
	s := newServer(t, ServerConfig{Access: Access{Keys: ring.Path, Service: "sums"}, Handler: func(_ context.Context, r *Request) ([][]byte, error) {
		asked <- string(r.Body[0])
		return r.Body, nil
	}})
	c := newClient(t, ClientConfig{Access: Access{Key: good}, Timeout: patience}, s.Addrs()...)
	answer, err := c.Call(within(t), []byte("mine"))
	require.NoError(t, err)
	require.Equal(t, "mine", string(answer[0]))
	for _, key := range []string{other, ""} {
		_, err := newClient(t, ClientConfig{Access: Access{Key: key}, Timeout: 20 * time.Millisecond, Tries: 2}, s.Addrs()...).Call(within(t), []byte("theirs"))
		require.Equal(t, Unknown, is(t, err, ErrNoAnswer).Outcome)
	}
	_, err = c.Call(within(t), []byte("again"))
	require.NoError(t, err)
	require.Equal(t, []string{"mine", "again"}, []string{<-asked, <-asked})
	require.Empty(t, asked)
}
