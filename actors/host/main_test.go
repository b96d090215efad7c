package host_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/actors/host"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests; it is a safety net, no test measures time.
const patience = 30 * time.Second

// newSystem returns an actor system that logs nothing and starts no timers of its own for dead letters.
func newSystem(t testing.TB) *actor.ActorSystem {
	t.Helper()
	system := actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }),
		actor.WithDeadLetterRequestLogging(false),
		actor.WithDeadLetterThrottleInterval(time.Microsecond),
	)
	t.Cleanup(system.Shutdown)
	return system
}

// newGoroutines returns a dispatcher whose goroutines have ended when the test ends.
func newGoroutines(t testing.TB, throughput int) *host.Goroutines {
	t.Helper()
	d := host.Goroutine(throughput)
	t.Cleanup(func() { await(t, d.Wait) })
	return d
}

// await calls a waiting function with the safety net as its deadline.
func await(t testing.TB, wait func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, wait(ctx))
}

// receive takes one value from a channel, or fails the test.
func receive[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		require.FailNow(t, "nothing arrived on the channel")
		panic("not reached")
	}
}

// stopped stops an actor and waits until it has.
func stop(t testing.TB, system *actor.ActorSystem, pid *actor.PID) {
	t.Helper()
	require.NoError(t, system.Root.StopFuture(pid).Wait())
}
