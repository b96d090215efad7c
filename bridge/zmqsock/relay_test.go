package zmqsock

import (
	"bytes"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// until waits for something that other threads do.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, patience, time.Millisecond, what)
}

// TestRelay: messages go on frame by frame, in order, however large; what has too few frames is counted.
func TestRelay(t *testing.T) {
	c := context(t)
	front, back := join(t, c, Config{Kind: Router}), join(t, c, Config{Kind: Dealer})
	at, err := front.Bind("tcp://127.0.0.1:0")
	require.NoError(t, err)
	there, err := back.Bind("tcp://127.0.0.1:0")
	require.NoError(t, err)
	client, worker := join(t, c, Config{Kind: Dealer}), join(t, c, Config{Kind: Router})
	require.NoError(t, client.Connect(at))
	require.NoError(t, worker.Connect(there))
	large := bytes.Repeat([]byte("x"), 1<<20)
	client.send(nil, message{[]byte("a"), nil, large}, message{[]byte("b")})
	var sum Relayed
	until(t, "both to be passed on", func() bool {
		front.in.Clear(false)
		r, err := front.in.Relay(front.Socket, back.Socket, 10, 2, true)
		require.NoError(t, err)
		sum.Taken, sum.Sent, sum.Bytes = sum.Taken+r.Taken, sum.Sent+r.Sent, sum.Bytes+r.Bytes
		return sum.Sent == 2
	})
	require.Equal(t, Relayed{Taken: 2, Sent: 2, Bytes: uint64(len(large) + 2 + 2*5)}, sum, "with the routing id")
	got := worker.receive(2)
	require.Len(t, got[0], 5, "two routing ids and three frames")
	require.Equal(t, large, got[0][4])
	require.Equal(t, "b", string(got[1][2]))

	worker.send(got[0][0], message{[]byte("for nobody")})
	until(t, "what is addressed to nobody to be thrown away", func() bool {
		r, err := back.in.Relay(back.Socket, front.Socket, 10, 2, false)
		require.NoError(t, err)
		return r.Bad == 1 && r.Taken == 0
	})
	worker.send(got[0][0], message{got[0][1], []byte("answer")})
	until(t, "the answer to be passed on", func() bool {
		r, err := back.in.Relay(back.Socket, front.Socket, 10, 2, false)
		require.NoError(t, err)
		return r.Sent == 1
	})
	require.Equal(t, message{[]byte("answer")}, client.receive(1)[0])
}

// TestRelayToNobody: what nobody takes is dropped, or is in the batch, whole and alone.
func TestRelayToNobody(t *testing.T) {
	for _, waits := range []bool{false, true} {
		t.Run(strconv.FormatBool(waits), func(t *testing.T) {
			c := context(t)
			from, to := join(t, c, Config{Kind: Pull}), join(t, c, Config{Kind: Push})
			at, err := from.Bind("tcp://127.0.0.1:0")
			require.NoError(t, err)
			source := join(t, c, Config{Kind: Push})
			require.NoError(t, source.Connect(at))
			source.send(nil, message{[]byte("one"), []byte("two")}, message{[]byte("three")})
			var r Relayed
			until(t, "something to come", func() bool {
				r, err = from.in.Relay(from.Socket, to.Socket, 10, 0, waits)
				require.NoError(t, err)
				return r.Taken > 0
			})
			if !waits {
				require.Zero(t, r.Sent)
				require.Equal(t, r.Taken, r.Dropped)
				require.Zero(t, from.in.Len())
				return
			}
			require.Equal(t, Relayed{Taken: 1, Bytes: 6, Held: true}, r)
			require.Equal(t, [][]byte{[]byte("one"), []byte("two")}, from.in.Frames(0, nil))
		})
	}
}
