//go:build !race

// The race detector makes sync.Pool forget at random and enlarges objects, so these figures hold without it only.

package host_test

import (
	"runtime"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/host"
)

// single is a dispatcher for one mailbox that allocates nothing.
type single struct{ turn func() }

func (s *single) Throughput() int    { return 64 }
func (s *single) Schedule(fn func()) { s.turn = fn }
func (s *single) drain() {
	for s.turn != nil {
		turn := s.turn
		s.turn = nil
		turn()
	}
}

func startedBox(cfg host.MailboxConfig, d actor.Dispatcher) *host.Box {
	box := host.NewBox(cfg)
	box.RegisterHandlers(forgetful{}, d)
	box.Start()
	return box
}

func TestPostAndRunAllocateNothing(t *testing.T) {
	message, watch := &question{}, &actor.Watch{}
	for _, messages := range []int{1, 7, 200} {
		d := &single{}
		box := startedBox(host.MailboxConfig{Clock: func() int64 { return 1 }}, d)
		allocated := testing.AllocsPerRun(1000, func() {
			for range messages {
				box.PostUserMessage(message)
			}
			box.PostSystemMessage(watch)
			d.drain()
		})
		require.Zero(t, allocated, "%d messages at a time", messages)
	}
}

// An idle mailbox owns no buffer, before its first message and after a burst.
func TestIdleMailboxIsSmall(t *testing.T) {
	const boxes, limit = 20_000, 180
	d := &single{}
	producer := host.Mailbox(host.MailboxConfig{})
	all := make([]actor.Mailbox, boxes)
	before := liveHeap()
	for i := range all {
		all[i] = producer()
		all[i].RegisterHandlers(forgetful{}, d)
		all[i].PostSystemMessage(&actor.Started{})
		all[i].Start()
		for range 100 {
			all[i].PostUserMessage(d)
		}
		d.drain()
	}
	each := float64(liveHeap()-before) / boxes
	runtime.KeepAlive(all)
	t.Logf("%.0f bytes per idle mailbox", each)
	require.Less(t, each, float64(limit))
}

// liveHeap returns the bytes in use once the pools have been emptied, which takes two collections.
func liveHeap() uint64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// benchmarkMailbox posts bursts and runs them on the same goroutine: the cost of a message without any hand-over.
func benchmarkMailbox(b *testing.B, produce actor.MailboxProducer, burst int) {
	d := &single{}
	box := produce()
	box.RegisterHandlers(forgetful{}, d)
	box.Start()
	message := &question{}
	b.ReportAllocs()
	for i := 0; i < b.N; i += burst {
		for range burst {
			box.PostUserMessage(message)
		}
		d.drain()
	}
}

func BenchmarkPostAndRun(b *testing.B) {
	cached := func() int64 { return 1 }
	for name, produce := range map[string]actor.MailboxProducer{
		"host":         host.Mailbox(host.MailboxConfig{}),
		"host+stamps":  host.Mailbox(host.MailboxConfig{Clock: cached}),
		"actor":        actor.Unbounded(),
		"actor+bounds": actor.Bounded(1024),
	} {
		b.Run(name+"/burst=1", func(b *testing.B) { benchmarkMailbox(b, produce, 1) })
		b.Run(name+"/burst=64", func(b *testing.B) { benchmarkMailbox(b, produce, 64) })
	}
}

// BenchmarkTell sends to a real actor, from several goroutines at once.
func BenchmarkTell(b *testing.B) {
	for name, produce := range map[string]actor.MailboxProducer{
		"host":  host.Mailbox(host.MailboxConfig{Capacity: host.Unbounded}),
		"actor": actor.Unbounded(),
	} {
		b.Run(name, func(b *testing.B) {
			system, done := newSystem(b), make(chan struct{})
			handled := 0
			pid := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
				if _, ok := c.Message().(*question); ok {
					if handled++; handled == b.N {
						close(done)
					}
				}
			}, actor.WithMailbox(produce), actor.WithDispatcher(newGoroutines(b, 300))))
			message := &question{}
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					system.Root.Send(pid, message)
				}
			})
			<-done
			b.StopTimer()
			stop(b, system, pid)
		})
	}
}

// BenchmarkAsk is a request and its reply through a channel: the hand-over to the dispatcher's thread and back.
func BenchmarkAsk(b *testing.B) {
	pinned, spinning := host.NewPinned("bench"), host.StartPinned(host.PinnedConfig{Name: "bench-spin", Spin: 20_000})
	for name, d := range map[string]actor.Dispatcher{
		"goroutine": newGoroutines(b, 300), "pinned": pinned, "pinned+spin": spinning,
	} {
		b.Run(name, func(b *testing.B) {
			system := newSystem(b)
			pid := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
				if reply, ok := c.Message().(chan int); ok {
					reply <- 1
				}
			}, actor.WithMailbox(host.Mailbox(host.MailboxConfig{})), actor.WithDispatcher(d)))
			reply := make(chan int, 1)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				system.Root.Send(pid, reply)
				<-reply
			}
			b.StopTimer()
			stop(b, system, pid)
		})
	}
	closeAndWait(b, pinned, false)
	closeAndWait(b, spinning, false)
}
