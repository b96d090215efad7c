//go:build cgo

package zmqsock

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A batch goes on after a refusal, and nobody gets the tail of what was refused.
func TestUnknownPeerIsToldApart(t *testing.T) {
	paths(t, func(t *testing.T, perFrame bool) {
		router, dealer, id := connected(t, "tcp://127.0.0.1:0", perFrame)
		nobody := []byte{0, 1, 2, 3, 4}
		add := func(to []byte, words ...string) int {
			i := router.out.Add(router.Socket, to, true)
			for _, w := range words {
				router.out.Append([]byte(w))
			}
			return i
		}
		add(id, "first")
		bad := add(nobody, "no", "tail", string(filled(1000, 'x')))
		add(id, "second", "frame")
		long := add(filled(200, 'n'), "no", "tail")
		add(id, "third")
		require.Equal(t, 2, router.out.Send())
		for i := range router.out.Len() {
			err := router.out.Err(i)
			if i == bad || i == long {
				require.ErrorIs(t, err, syscall.EHOSTUNREACH)
			} else {
				require.NoError(t, err)
			}
		}
		got := dealer.receive(3)
		require.Equal(t, []string{"first"}, words(got[0][1:]))
		require.Equal(t, []string{"second", "frame"}, words(got[1][1:]))
		require.Equal(t, []string{"third"}, words(got[2][1:]))
	})
}

func words(m message) []string {
	var all []string
	for _, f := range m {
		all = append(all, string(f))
	}
	return all
}

// A peer that does not read fills its pipe: EAGAIN for it alone, and what was taken arrives whole.
func TestFullPipeIsToldApart(t *testing.T) {
	paths(t, func(t *testing.T, perFrame bool) {
		c := context(t)
		router := join(t, c, Config{Kind: Router, SendHWM: 16, PerFrame: perFrame})
		addr, err := router.Bind("tcp://127.0.0.1:0")
		require.NoError(t, err)
		slow := join(t, c, Config{Kind: Dealer, RecvHWM: 1, PerFrame: perFrame})
		brisk := join(t, c, Config{Kind: Dealer, PerFrame: perFrame})
		require.NoError(t, slow.Connect(addr))
		require.NoError(t, brisk.Connect(addr))
		slowID, briskID := greet(t, router, slow), greet(t, router, brisk)

		body := filled(64<<10, 'b')
		taken := 0
		// toSlow adds many messages, and returns a count of those that were refused.
		toSlow := func() func() int {
			first := router.out.Len()
			for range 32 {
				router.out.Add(router.Socket, slowID, false)
				router.out.Append([]byte("head"))
				router.out.Append(body)
			}
			return func() (refused int) {
				for i := first; i < first+32; i++ {
					if err := router.out.Err(i); err != nil {
						require.ErrorIs(t, err, syscall.EAGAIN)
						refused++
					}
				}
				taken += 32 - refused
				return refused
			}
		}
		for full := false; !full; {
			require.Less(t, taken, 10_000, "nothing bounds what waits for a peer that does not read")
			before := toSlow()
			brave := router.out.Add(router.Socket, briskID, false)
			router.out.Append([]byte("still"))
			router.out.Append([]byte("there"))
			after := toSlow()
			refused := router.out.Send()
			require.NoError(t, router.out.Err(brave))
			b, a := before(), after()
			require.Equal(t, refused, a+b)
			full = a > 0 && b > 0
			router.out.Reset()
			require.Equal(t, []string{"still", "there"}, words(brisk.receive(1)[0]))
		}
		for _, m := range slow.receive(taken) {
			require.Len(t, m, 2)
			require.Equal(t, "head", string(m[0]))
			require.Len(t, m[1], len(body))
		}
	})
}

// After the loss of its only inproc peer a DEALER takes nothing: that is told, too.
func TestDealerWithoutAnybodyRefuses(t *testing.T) {
	paths(t, func(t *testing.T, perFrame bool) {
		c := context(t)
		router, err := c.Open(Config{Kind: Router, PerFrame: perFrame})
		require.NoError(t, err)
		_, err = router.Bind("inproc://gone")
		require.NoError(t, err)
		dealer := join(t, c, Config{Kind: Dealer, PerFrame: perFrame})
		require.NoError(t, dealer.Connect("inproc://gone"))
		dealer.send(nil, message{[]byte("hello")})
		require.NoError(t, router.Close())
		eventually(t, func() bool {
			dealer.out.Add(dealer.Socket, nil, true)
			dealer.out.Append([]byte("nobody hears this"))
			refused := dealer.out.Send()
			if refused > 0 {
				require.ErrorIs(t, dealer.out.Err(0), syscall.EAGAIN)
			}
			dealer.out.Reset()
			return refused > 0
		}, "a message is refused")
	})
}
