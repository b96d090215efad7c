package bridge

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// receiver is a peer as hit.md, section 7, wants it: it acknowledges after each half window.
type receiver struct {
	size, received, acked uint64
}

// take receives so many bytes and returns the CREDIT that is due, if any.
func (r *receiver) take(n int) (uint32, bool) {
	r.received += uint64(n)
	if r.received-r.acked < r.size/2 {
		return 0, false
	}
	r.acked = r.received
	return wire.CreditArg(r.received + r.size), true
}

func TestWindowCountsBytes(t *testing.T) {
	var w window
	w.open(64 << 10)
	require.True(t, w.fits(64<<10))
	w.sent = 60 << 10
	require.True(t, w.fits(4<<10))
	require.False(t, w.fits(4<<10+1))
	require.EqualValues(t, 60<<10, w.unacknowledged())
	require.True(t, w.credit(wire.CreditArg(80<<10)), "16 KiB are acknowledged")
	require.EqualValues(t, 44<<10, w.unacknowledged())
	require.True(t, w.fits(20<<10))
	require.False(t, w.fits(20<<10+1))
}

// A receiver never acknowledges less than half a window by itself: a message larger than what is left must not wait for that.
func TestWindowLetsLargeMessagesThrough(t *testing.T) {
	for _, size := range []int64{minWindow, minWindow + 1, 100_001, 4 << 20} {
		var w window
		w.open(size)
		r := receiver{size: uint64(size)}
		for n := range 5000 {
			large := int(size) * 3
			require.True(t, w.fits(large), "message %d of a window of %d", n, size)
			step := 1 + (n*7919)%int(size/2-1) // whatever the receiver is left with
			w.sent += uint64(step)
			if arg, due := r.take(step); due {
				w.credit(arg)
			}
		}
	}
	var w window
	w.open(64 << 10)
	w.sent = 32<<10 + 1024
	require.False(t, w.fits(64<<10), "more than half a window is unacknowledged, and more than KiB round away")
}

func TestWindowGrantsWhatWasAsked(t *testing.T) {
	for _, c := range []struct{ asked, got int64 }{
		{0, 1 << 20}, {1 << 19, 1 << 19}, {1 << 20, 1 << 20}, {1 << 30, 1 << 20}, {1, minWindow}, {-5, 1 << 20},
	} {
		var w window
		w.open(1 << 20)
		w.shrink(c.asked)
		require.Equal(t, c.got, w.size)
		require.True(t, w.fits(int(c.got)))
	}
}

// A CREDIT that goes back, says again, or promises the moon does no harm.
func TestWindowKeepsNonsenseOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(minWindow, 8<<20).Draw(t, "size")
		var w window
		w.open(size)
		w.sent = rapid.Uint64Range(0, 1<<45).Draw(t, "sent")
		w.limit = w.sent + rapid.Uint64Range(0, uint64(size)).Draw(t, "left")
		for range 20 {
			before := w
			moved := w.credit(rapid.Uint32().Draw(t, "arg"))
			require.GreaterOrEqual(t, w.limit, before.limit)
			require.LessOrEqual(t, w.limit, w.sent+uint64(size), "no more than a window beyond what was sent")
			require.Equal(t, moved, w.limit > before.limit)
			require.Equal(t, before.sent, w.sent)
		}
	})
}

// Whatever the sizes of messages, and however late, often and mixed up the CREDITs come: the sender stays within the window, and is never stuck once
// all has arrived.
func TestWindowNeverGetsStuck(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(minWindow, 1<<20).Draw(t, "size")
		var w window
		w.open(size)
		r := receiver{size: uint64(size)}
		// Long ago: limits in KiB have wrapped around 32 bits already.
		base := rapid.SampledFrom([]uint64{0, 1 << 32, 1<<42 - 1<<20, 1<<42 + 5}).Draw(t, "base")
		w.sent, w.limit, r.received, r.acked = base, base+uint64(size), base, base
		var flying []int
		var credits, old []uint32
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				n := rapid.IntRange(32, int(size)*2).Draw(t, "bytes")
				if !w.fits(n) {
					continue
				}
				before := w.unacknowledged()
				w.sent += uint64(n)
				flying = append(flying, n)
				if n <= int(size) && before+int64(n) > size {
					require.LessOrEqual(t, before, size/2+1024, "a window and no more, but for what is larger than what is left")
				}
			case 2:
				if len(flying) > 0 {
					if arg, due := r.take(flying[0]); due {
						credits = append(credits, arg)
					}
					flying = flying[1:]
				}
			case 3:
				if len(credits) > 0 {
					w.credit(credits[0])
					old, credits = append(old, credits[0]), credits[1:]
				}
				if len(old) > 0 {
					w.credit(rapid.SampledFrom(old).Draw(t, "again"))
				}
			}
		}
		for _, n := range flying {
			if arg, due := r.take(n); due {
				credits = append(credits, arg)
			}
		}
		for _, arg := range credits {
			w.credit(arg)
		}
		require.True(t, w.fits(32<<20), "all has arrived and all credit, and nothing may be sent: %+v %+v", w, r)
	})
}
