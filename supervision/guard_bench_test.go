package supervision_test

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/supervision"
)

// BenchmarkMessage is what the guard adds to each message of a child: the same
// actor gets the same messages once bare and once supervised.
func BenchmarkMessage(b *testing.B) {
	system := newSystem()
	done := make(chan struct{}, 1)
	b.Run("bare", func(b *testing.B) {
		pid := system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return &hit{done} }))
		flood(b, system, pid, done)
		if err := system.Root.StopFuture(pid).Wait(); err != nil {
			b.Error(err)
		}
	})
	b.Run("guarded", func(b *testing.B) {
		tree := start(b, system, supervision.Spec{Children: []supervision.ChildSpec{
			{ID: "x", Start: func() actor.Actor { return &hit{done} }},
		}})
		flood(b, system, find(b, tree, "x").PID, done)
		if err := tree.Stop(testContext(b)); err != nil {
			b.Error(err)
		}
	})
}

// flood lets the actor handle b.N messages in one go, so that neither the
// sender nor a wake-up is in the time.
func flood(b *testing.B, system *actor.ActorSystem, pid *actor.PID, done chan struct{}) {
	process, ok := system.ProcessRegistry.Get(pid)
	if !ok {
		b.Fatal("not registered")
	}
	ordinary, last := &first{}, &first{last: true}
	process.SendSystemMessage(pid, &actor.SuspendMailbox{})
	for range b.N - 1 {
		process.SendUserMessage(pid, ordinary)
	}
	process.SendUserMessage(pid, last)
	b.ReportAllocs()
	b.ResetTimer()
	process.SendSystemMessage(pid, &actor.ResumeMailbox{})
	<-done
}
