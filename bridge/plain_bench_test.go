package bridge_test

import (
	"fmt"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge"
)

// BenchmarkPlainRequest is a future's way to a peer and back, with so many requests open at a time.
func BenchmarkPlainRequest(b *testing.B) {
	for _, open := range []int{1, 64} {
		b.Run(fmt.Sprint("open=", open), func(b *testing.B) {
			w := newPlainWorld(b, bridge.Config{}, bridge.PlainConfig{Bind: []string{"tcp://127.0.0.1:0"}})
			anna := w.join("anna")
			pid := w.b.PID("anna")
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range b.N {
					q := anna.recv()
					anna.send(q[0], q[1])
				}
			}()
			futures := make([]*actor.Future, 0, open)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				futures = append(futures, w.system.Root.RequestFuture(pid, "question", plainPatience))
				if len(futures) < open && i < b.N-1 {
					continue
				}
				for _, f := range futures {
					_, err := f.Result()
					require.NoError(b, err)
				}
				futures = futures[:0]
			}
			b.StopTimer()
			<-done
		})
	}
}

// BenchmarkPlainEcho is a peer's way to a registered actor and back, 64 messages at a time.
func BenchmarkPlainEcho(b *testing.B) {
	w := newPlainWorld(b, bridge.Config{}, bridge.PlainConfig{Bind: []string{"tcp://127.0.0.1:0"}})
	echo := w.spawn(func(ctx actor.Context) {
		if m, ok := ctx.Message().(*bridge.Message); ok {
			ctx.Respond(m)
		}
	})
	require.NoError(b, w.b.Register("echo", echo))
	anna := w.join("anna")
	b.ReportAllocs()
	b.ResetTimer()
	const open = 64
	for i := range b.N + open {
		if i >= open {
			anna.recv()
		}
		if i < b.N {
			anna.send("echo", "hello")
		}
	}
}
