package wire_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-mq/troupe/bridge/wire"
)

const (
	kib  = uint64(1) << 10
	wrap = uint64(1) << 42 // 2^32 KiB in bytes
)

func TestCreditArg(t *testing.T) {
	quote(t, "`arg = (bytes received in all + window) / 1024`, modulo 2^32.")
	for limit, want := range map[uint64]uint32{
		0: 0, 1023: 0, 1024: 1, 1 << 20: 1024,
		wrap - 1: math.MaxUint32, wrap: 0, wrap + kib: 1, math.MaxUint64: math.MaxUint32,
	} {
		require.Equal(t, want, wire.CreditArg(limit), "limit %d", limit)
	}
}

func TestCreditBeyondWhatIsPossibleIsBehind(t *testing.T) {
	quote(t, "one that goes back is ignored (RFC 1982 arithmetic)")
	limit := 7 * wrap
	require.Equal(t, limit+(1<<31-1)*kib, wire.CreditLimit(limit, 1<<31-1), "the longest step forward")
	require.Equal(t, limit, wire.CreditLimit(limit, 1<<31), "half of the circle is no progress")
	require.Equal(t, limit, wire.CreditLimit(limit, math.MaxUint32), "one step back")
}

// TestCreditFollowsTheReceiver lets a receiver acknowledge while the sender's limit follows, over the wrap of arg:
// the limit never exceeds what was granted, and lies less than a KiB below it.
func TestCreditFollowsTheReceiver(t *testing.T) {
	quote(t, "Credit is an absolute limit: repeating it does no harm")
	rapid.Check(t, func(t *rapid.T) {
		window := rapid.Uint64Range(1, 1<<30).Draw(t, "window")
		received := rapid.SampledFrom([]uint64{0, wrap - window, wrap - 1<<20, 3*wrap - 5}).Draw(t, "received")
		limit := received + window
		for range 50 {
			received += rapid.Uint64Range(0, 1<<31).Draw(t, "more")
			granted := received + window
			before := limit
			limit = wire.CreditLimit(limit, wire.CreditArg(granted))
			if limit > granted || granted-limit >= kib || limit < before {
				t.Fatalf("granted %d, limit went from %d to %d", granted, before, limit)
			}
			if again := wire.CreditLimit(limit, wire.CreditArg(granted)); again != limit {
				t.Fatalf("repeating the credit moved the limit from %d to %d", limit, again)
			}
			older := granted - min(granted, rapid.Uint64Range(0, 1<<40).Draw(t, "older"))
			if back := wire.CreditLimit(limit, wire.CreditArg(older)); back != limit {
				t.Fatalf("an older credit moved the limit from %d to %d", limit, back)
			}
		}
	})
}
