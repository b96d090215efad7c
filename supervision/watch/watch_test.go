package watch_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-mq/troupe/supervision/watch"
)

const limit = 10 * time.Second

func TestStuckIsToldOnceAndTakenBack(t *testing.T) {
	h := watch.Handler{Limit: limit}
	look := func(at time.Duration, busy bool, message uint64) watch.Finding {
		found, _ := h.Look(at*time.Second, 0, busy, message)
		return found
	}
	require.Equal(t, watch.Nothing, look(1, false, 0))
	require.Equal(t, watch.Nothing, look(100, true, 7), "it has been seen in this message for no time yet")
	require.Equal(t, watch.Nothing, look(109, true, 7))
	require.Equal(t, watch.Stuck, look(110, true, 7))
	require.Equal(t, watch.Nothing, look(200, true, 7), "told once")
	require.Equal(t, watch.Back, look(201, true, 8))
	require.Equal(t, watch.Nothing, look(210, true, 8))
	require.Equal(t, watch.Stuck, look(211, true, 8))
	require.Equal(t, watch.Back, look(212, false, 8))
	require.Equal(t, watch.Nothing, look(213, true, 8), "the same number again is another message")
	require.Equal(t, watch.Nothing, look(222, true, 8))
}

// TestALateWatchdogGivesNoVerdict: the process stood still for an hour, then the clock jumped by another.
func TestALateWatchdogGivesNoVerdict(t *testing.T) {
	h, p := watch.Handler{Limit: limit}, watch.NewPulse(limit)
	now := time.Second
	look := func() watch.Finding {
		p.Ran(now)
		found, _ := h.Look(now, p.Since(), true, 1)
		return found
	}
	require.Equal(t, watch.Nothing, look())
	for range 2 {
		now += time.Hour
		require.Equal(t, watch.Nothing, look())
	}
	began := now
	for look() == watch.Nothing {
		now += p.Every
	}
	require.InDelta(t, limit, now-began, float64(p.Every), "the evidence begins anew")
}

// TestModel: a handler is told stuck exactly when it was seen in one message, by a pulse that was in time, for its limit.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, p := watch.Handler{Limit: limit}, watch.NewPulse(limit)
		var now, first time.Duration
		var message uint64
		told := false
		for range rapid.IntRange(1, 300).Draw(t, "looks") {
			now += p.Every
			if rapid.IntRange(0, 40).Draw(t, "late") == 0 {
				now += p.Bound + time.Millisecond
			}
			if p.Ran(now) > p.Bound || message == 0 {
				first = now
			}
			if rapid.IntRange(0, 60).Draw(t, "next") == 0 || message == 0 {
				require.Equal(t, told, look(&h, &p, now, message+1) == watch.Back)
				message, first, told = message+1, now, false
				continue
			}
			want := watch.Nothing
			if !told && now-first >= limit {
				want, told = watch.Stuck, true
			}
			require.Equal(t, want, look(&h, &p, now, message))
		}
	})
}

func look(h *watch.Handler, p *watch.Pulse, now time.Duration, message uint64) watch.Finding {
	found, _ := h.Look(now, p.Since(), true, message)
	return found
}
