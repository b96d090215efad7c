package supervision_test

import (
	"runtime"
	"strconv"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/supervision"
)

// lane is a dispatcher that runs everything on one goroutine, like a broker's
// loop: what an actor causes runs after it has returned.
type lane struct{ c chan func() }

func newLane() *lane {
	l := &lane{make(chan func(), 1<<20)}
	go func() {
		for f := range l.c {
			f()
		}
	}()
	return l
}

func (l *lane) Schedule(f func()) { l.c <- f }
func (l *lane) Throughput() int   { return 300 }
func (l *lane) close()            { close(l.c) }

// drain waits until the lane has nothing more to do.
func (l *lane) drain(t testing.TB) {
	for busy := true; busy; {
		done := make(chan bool, 1)
		l.c <- func() { done <- len(l.c) > 0 }
		busy = receive(t, done, "the lane")
	}
}

type hit struct{ done chan struct{} }

type first struct{ last bool }

func (h *hit) Receive(ctx actor.Context) {
	if m, ok := ctx.Message().(*first); ok && m.last {
		h.done <- struct{}{}
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// reportLive reports what one live child holds.
func reportLive(b *testing.B, before uint64) {
	b.StopTimer()
	b.ReportMetric(float64(int64(heap())-int64(before))/float64(b.N), "live-B/op")
	b.StartTimer()
}

// BenchmarkSpawnNamed is the bare protoactor spawn under a parent, with the
// same names and the same first message.
func BenchmarkSpawnNamed(b *testing.B) {
	l, system := newLane(), newSystem()
	onLane := actor.WithDispatcher(l)
	done := make(chan struct{}, 1)
	props := actor.PropsFromProducer(func() actor.Actor { return &hit{done} }, onLane)
	n, last := 0, b.N
	parent := system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		m, ok := ctx.Message().(*first)
		if !ok {
			return
		}
		n++
		pid, err := ctx.SpawnNamed(props, "hit-"+strconv.Itoa(n))
		if err != nil {
			b.Error(err)
		}
		m.last = n == last
		ctx.Send(pid, m)
	}, onLane))
	before := heap()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		system.Root.Send(parent, &first{})
	}
	<-done
	reportLive(b, before)
	b.StopTimer()
	if err := system.Root.StopFuture(parent).Wait(); err != nil {
		b.Error(err)
	}
	l.close()
}

// BenchmarkStartTemporary starts the same actors through a supervisor.
func BenchmarkStartTemporary(b *testing.B) {
	l, system := newLane(), newSystem()
	onLane := []actor.PropsOption{actor.WithDispatcher(l)}
	done := make(chan struct{}, 1)
	tree := start(b, system, supervision.Spec{Options: onLane, ChildOptions: onLane})
	before := heap()
	b.ReportAllocs()
	b.ResetTimer()
	for n := range b.N {
		system.Root.Send(tree.PID(), &supervision.StartTemporary{
			ID: "hit-" + strconv.Itoa(n), Actor: &hit{done}, First: &first{n == b.N-1},
		})
	}
	<-done
	reportLive(b, before)
	b.StopTimer()
	if err := tree.Stop(testContext(b)); err != nil {
		b.Error(err)
	}
	l.close()
}
