//go:build cgo

package zmqsock

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func filled(n int, with byte) []byte { return bytes.Repeat([]byte{with}, n) }

func frames(n int) message {
	m := make(message, n)
	for i := range m {
		m[i] = []byte(fmt.Sprintf("frame %d", i))
	}
	return m
}

// shapes are the messages that must survive a round trip as they are: at most 63 frames, since the routing id is one, too.
func shapes() []message {
	all := []message{
		{{}},
		{{}, {}, {}},
		{[]byte("a"), {}, []byte("b")},
		{{}, []byte("b")},
		{filled(1<<20, 'm')},
		{[]byte("head"), filled(1<<20, 'm'), {}, filled(3<<20, 'n')},
	}
	for n := 1; n <= 63; n++ {
		all = append(all, frames(n))
	}
	for _, n := range []int{32, 33, 34, 127, 128, 129, 8191, 8192, 8193, pageSize / 4, pageSize/4 + 1, pageSize} {
		all = append(all, message{filled(n, 'x')}, message{filled(n, 'x'), filled(n-1, 'y'), filled(n+1, 'z')})
	}
	return all
}

func TestRoundTrip(t *testing.T) {
	for name, at := range transports(t) {
		t.Run(name, func(t *testing.T) {
			paths(t, func(t *testing.T, perFrame bool) {
				router, dealer, id := connected(t, at, perFrame)
				require.Equal(t, !perFrame, router.Batched())
				sent := shapes()
				dealer.send(nil, sent...)
				for i, m := range router.receive(len(sent)) {
					require.Equal(t, id, m[0])
					require.Equal(t, sent[i], m[1:])
				}
				router.send(id, sent...)
				require.Equal(t, sent, dealer.receive(len(sent)))
			})
		})
	}
}

func TestForwardSendsWhatWasReceived(t *testing.T) {
	paths(t, func(t *testing.T, perFrame bool) {
		router, dealer, id := connected(t, "tcp://127.0.0.1:0", perFrame)
		sent := shapes()
		dealer.send(nil, sent...)
		router.each(len(sent), func(i int) {
			router.out.Add(router.Socket, id, false)
			router.out.Forward(router.in, i, 1)
			require.Zero(t, router.out.Send()) // the batch is cleared, poisoned and used again before the frames are written
			router.out.Reset()
		})
		require.Equal(t, sent, dealer.receive(len(sent)))
	})
}

func TestHeaderGoesFirst(t *testing.T) {
	paths(t, func(t *testing.T, perFrame bool) {
		router, dealer, id := connected(t, "tcp://127.0.0.1:0", perFrame)
		for _, m := range []message{{}, {{}}, {[]byte("body"), filled(500, 'b')}} {
			i := router.out.Add(router.Socket, id, true)
			copy(router.out.Header(i), filled(32, 'H'))
			for _, f := range m {
				router.out.Append(f)
			}
			require.Zero(t, router.out.Send())
			router.out.Reset()
			require.Equal(t, append(message{filled(32, 'H')}, m...), dealer.receive(1)[0])
		}
	})
}

func TestLongRoutingIDs(t *testing.T) {
	for _, n := range []int{1, 8, 9, 10, 11, 255} {
		paths(t, func(t *testing.T, perFrame bool) {
			c := context(t)
			router := join(t, c, Config{Kind: Router, PerFrame: perFrame})
			addr, err := router.Bind("tcp://127.0.0.1:0")
			require.NoError(t, err)
			dealer := join(t, c, Config{Kind: Dealer, PerFrame: perFrame, Identity: string(filled(n, 'i'))})
			require.NoError(t, dealer.Connect(addr))
			id := greet(t, router, dealer)
			require.Equal(t, filled(n, 'i'), id)
			i := router.out.Add(router.Socket, id, true)
			copy(router.out.Header(i), filled(32, 'H'))
			router.out.Append([]byte("body"))
			router.out.Add(router.Socket, id, false)
			router.out.Append([]byte("no header"))
			require.Zero(t, router.out.Send())
			require.Equal(t, []message{{filled(32, 'H'), []byte("body")}, {[]byte("no header")}}, dealer.receive(2))
		})
	}
}

func TestFramesBeyondTheLimitAreDroppedAndCounted(t *testing.T) {
	paths(t, func(t *testing.T, perFrame bool) {
		router, dealer, _ := connected(t, "tcp://127.0.0.1:0", perFrame)
		for _, n := range []int{63, 64, 65, 66, 200} {
			sent := frames(n)
			dealer.send(nil, sent, message{[]byte("next")})
			size := 0
			for _, f := range sent {
				size += len(f)
			}
			seen := 0
			router.each(2, func(i int) {
				got, meta := router.in.Frames(i, nil), router.in.Meta(i)
				if seen++; seen == 2 {
					require.Equal(t, "next", string(got[1]))
					return
				}
				require.Len(t, got, min(n+1, 64))
				require.Equal(t, Meta{Frames: len(got), Dropped: n + 1 - len(got), FD: meta.FD, Size: size + len(got[0])}, meta)
				require.Equal(t, [][]byte(sent[:len(got)-1]), got[1:])
			})
		}
	})
}

func TestManyMessagesKeepTheirOrder(t *testing.T) {
	const n = 10_000 // the batch holds 16
	paths(t, func(t *testing.T, perFrame bool) {
		router, dealer, _ := connected(t, "tcp://127.0.0.1:0", perFrame)
		for i := range n {
			dealer.out.Add(dealer.Socket, nil, false)
			dealer.out.Append(binary.BigEndian.AppendUint32(nil, uint32(i)))
			dealer.out.Append(filled(i%300, byte(i)))
		}
		require.Zero(t, dealer.out.Send())
		next := uint32(0)
		router.each(n, func(i int) {
			got := router.in.Frames(i, nil)
			require.Equal(t, next, binary.BigEndian.Uint32(got[1]))
			if !bytes.Equal(filled(int(next)%300, byte(next)), got[2]) {
				t.Fatalf("message %d is damaged", next)
			}
			next++
		})
	})
}

// A batch is full before a message might not fit: of big frames, and of many frames.
func TestBatchStopsBeforeItIsFull(t *testing.T) {
	paths(t, func(t *testing.T, perFrame bool) {
		router, dealer, _ := connected(t, "tcp://127.0.0.1:0", perFrame)
		for range 40 {
			big := frames(60)
			for i := range big {
				big[i] = filled(200, 'b')
			}
			dealer.send(nil, big)
		}
		for _, m := range router.receive(40) {
			require.Len(t, m, 61)
			require.Equal(t, filled(200, 'b'), m[60])
		}
	})
}

func TestPoisonShowsInWhatWasKeptTooLong(t *testing.T) {
	paths(t, func(t *testing.T, perFrame bool) {
		router, dealer, _ := connected(t, "tcp://127.0.0.1:0", perFrame)
		dealer.send(nil, message{[]byte("kept too long")})
		var kept []byte
		router.each(1, func(i int) { kept = router.in.Frames(i, nil)[1] })
		require.Equal(t, filled(len("kept too long"), 0xDB), kept)
	})
}

func TestBatchForNothingIsRefused(t *testing.T) {
	_, err := NewIn(0)
	require.ErrorContains(t, err, "at least 1")
}
