package zmqsock

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSharedPoller: it returns for a message, for a wake-up, and when the time is over; and after another Set, too.
func TestSharedPoller(t *testing.T) {
	c := context(t)
	router := join(t, c, Config{Kind: Router})
	at, err := router.Bind("tcp://127.0.0.1:0")
	require.NoError(t, err)
	dealer := join(t, c, Config{Kind: Dealer})
	require.NoError(t, dealer.Connect(at))
	p := NewSharedPoller(router.wake)
	require.NoError(t, p.Wait(0), "before Set there is the wake-up alone")
	for range 3 {
		require.NoError(t, p.Set([]*Socket{router.Socket, dealer.Socket}))
		router.poll = p
		dealer.send(nil, message{[]byte("one")}, message{[]byte("two")})
		require.Len(t, router.receive(2), 2)
		done := make(chan error, 1)
		go func() { done <- p.Wait(-1) }()
		router.wake.Wake()
		require.NoError(t, <-done)
		require.NoError(t, p.Park(time.Millisecond), "the time is over")
		require.NoError(t, p.Park(0), "no time is given")
	}
	require.NoError(t, p.Close())
	require.NoError(t, p.Close(), "closing twice")
}
