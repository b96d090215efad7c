package pair

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// Detached threads have ZeroMQ contexts of their own, and meet over tcp as processes do.
func TestDetachedThreadsHaveTheirOwnContexts(t *testing.T) {
	url := freePort(t)
	own := func() Config {
		ctx, err := zmqsock.NewContext()
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, ctx.Term()) })
		cfg := config(url)
		cfg.Context = ctx
		return cfg
	}
	a, b := listen(t, own()), dial(t, own())
	require.NoError(t, a.Send(within(t), []byte("hello")))
	require.Equal(t, []string{"hello"}, receive(t, b))
}
