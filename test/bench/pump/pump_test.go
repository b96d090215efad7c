package pump_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/test/bench/pump"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var brief = pump.Options{Lanes: 4, Size: 32, Warm: time.Millisecond, Run: 20 * time.Millisecond}

func TestEveryCallIsCounted(t *testing.T) {
	var calls atomic.Int64
	r, err := pump.Run(t.Context(), brief, func(_ context.Context, _ int, body []byte) ([]byte, error) {
		calls.Add(1)
		return body, nil
	})
	require.NoError(t, err)
	require.EqualValues(t, calls.Load(), r.Total)
	require.LessOrEqual(t, r.N, r.Total)
	require.LessOrEqual(t, r.P50, r.P999)
}

func TestForeignAnswerEndsTheRun(t *testing.T) {
	var last atomic.Pointer[[]byte]
	_, err := pump.Run(t.Context(), brief, func(_ context.Context, _ int, body []byte) ([]byte, error) {
		mine := append([]byte(nil), body...)
		if before := last.Swap(&mine); before != nil {
			return *before, nil
		}
		return mine, nil
	})
	require.ErrorContains(t, err, "not what was sent")
}

func TestErrorEndsTheRun(t *testing.T) {
	broken := errors.New("broken")
	_, err := pump.Run(t.Context(), brief, func(ctx context.Context, lane int, body []byte) ([]byte, error) {
		if lane == 0 {
			return nil, broken
		}
		<-ctx.Done() // the other lanes are told
		return nil, ctx.Err()
	})
	require.ErrorIs(t, err, broken)
}

func TestOptionsAreJudged(t *testing.T) {
	_, err := pump.Run(t.Context(), pump.Options{Lanes: 0, Size: 32}, nil)
	require.ErrorContains(t, err, "at least 1 lane")
	_, err = pump.Run(t.Context(), pump.Options{Lanes: 1, Size: 7}, nil)
	require.ErrorContains(t, err, "8 bytes")
}

func TestOptionsAreRead(t *testing.T) {
	o, err := pump.ParseOptions([]string{"512", "32", "300ms", "2s"})
	require.NoError(t, err)
	require.Equal(t, pump.Options{Lanes: 512, Size: 32, Warm: 300 * time.Millisecond, Run: 2 * time.Second}, o)
	for args, words := range map[[4]string]string{
		{"many", "32", "1s", "1s"}: "CALLS",
		{"1", "big", "1s", "1s"}:   "SIZE",
		{"1", "32", "soon", "1s"}:  "WARM",
		{"1", "32", "1s", "2"}:     "RUN",
	} {
		_, err := pump.ParseOptions(args[:])
		require.ErrorContains(t, err, words)
	}
	_, err = pump.ParseOptions([]string{"512"})
	require.ErrorContains(t, err, "wanted are")
}
