package host_test

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/actors/host"
)

// mainThreadProbe is what TestMain saw of a pinned dispatcher whose goroutine began on the process's main thread.
var mainThreadProbe struct{ tid, ranOn int }

func init() { runtime.LockOSThread() } // keeps TestMain on the main thread until the probe is done

func TestMain(m *testing.M) {
	p := host.StartPinnedHere(host.PinnedConfig{Name: "from-main"})
	p.Schedule(func() { mainThreadProbe.ranOn = syscall.Gettid() })
	mainThreadProbe.tid = p.TID()
	p.Close(false)
	<-p.Done()
	runtime.UnlockOSThread()
	goleak.VerifyTestMain(m)
}

// patience bounds every wait of these tests; it is a safety net, no test measures time.
const patience = 30 * time.Second

// newSystem returns an actor system that logs nothing.
func newSystem(t testing.TB) *actor.ActorSystem {
	t.Helper()
	system := actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }),
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

// stop stops an actor and waits until it has.
func stop(t testing.TB, system *actor.ActorSystem, pid *actor.PID) {
	t.Helper()
	require.NoError(t, system.Root.StopFuture(pid).Wait())
}

// deadLetters collects the messages of dead letters to one PID.
func deadLetters(t testing.TB, system *actor.ActorSystem, id string) <-chan any {
	t.Helper()
	letters := make(chan any, 100)
	subscription := system.EventStream.Subscribe(func(event any) {
		if letter, ok := event.(*actor.DeadLetterEvent); ok && letter.PID.Id == id {
			letters <- letter.Message
		}
	})
	t.Cleanup(func() { system.EventStream.Unsubscribe(subscription) })
	return letters
}

// manual is a dispatcher whose turns the test runs one by one.
type manual struct {
	throughput int
	mu         sync.Mutex
	turns      []func()
}

func (m *manual) Throughput() int { return m.throughput }

func (m *manual) Schedule(fn func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turns = append(m.turns, fn)
}

// step runs the oldest turn and says whether there was one.
func (m *manual) step() bool {
	m.mu.Lock()
	if len(m.turns) == 0 {
		m.mu.Unlock()
		return false
	}
	turn := m.turns[0]
	m.turns = m.turns[1:]
	m.mu.Unlock()
	turn()
	return true
}

func (m *manual) drain() {
	for m.step() {
	}
}

// recorder stands in for the engine's actor context.
type recorder struct {
	got      []any
	failures []any
	onUser   func(message any)
}

func (r *recorder) InvokeSystemMessage(message any) { r.got = append(r.got, message) }

func (r *recorder) InvokeUserMessage(message any) {
	r.got = append(r.got, message)
	if r.onUser != nil {
		r.onUser(message)
	}
}

func (r *recorder) EscalateFailure(reason, _ any) { r.failures = append(r.failures, reason) }

// newBox returns a started mailbox that hands its messages to a recorder.
func newBox(cfg host.MailboxConfig, dispatcher actor.Dispatcher) (*host.Box, *recorder) {
	box, engine := host.NewBox(cfg), &recorder{}
	box.RegisterHandlers(engine, dispatcher)
	box.Start()
	return box, engine
}
