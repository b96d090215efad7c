package pair

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/internal/keytest"
)

// TestOnlyAListedKeyIsTheOtherEnd: with keys all is encrypted, and who has none does not take the place of the other end.
func TestOnlyAListedKeyIsTheOtherEnd(t *testing.T) {
	ring := keytest.New(t)
	good := ring.Grant("good", "chess")
	mine := config("tcp://127.0.0.1:0")
	mine.Access = Access{Keys: ring.Path, Service: "chess"}
	a := listen(t, mine)
	stranger, cancel := context.WithCancel(context.Background())
	kept := make(chan error, 1)
	go func() {
		e, err := Dial(context.Background(), stranger, config(a.Addr()))
		if err == nil {
			_ = e.Close(context.Background())
		}
		kept <- err
	}()
	theirs := config(a.Addr())
	theirs.Access = Access{Key: good}
	b := dial(t, theirs)
	require.NoError(t, b.Send(within(t), []byte("e4")))
	require.Equal(t, []string{"e4"}, receive(t, a))
	require.NoError(t, a.Send(within(t), []byte("c5")))
	require.Equal(t, []string{"c5"}, receive(t, b))
	cancel()
	require.ErrorIs(t, <-kept, context.Canceled)
}
