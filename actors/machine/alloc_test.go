package machine_test

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// hot returns a step that passes one CALL and one REPLY through an open hit.
func hot(t testing.TB) func() {
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 1), 5, 0)
	m := s.broker.AllHits()[0]
	call := wire.NewMessage(wire.Header{Type: wire.Call, Hit: h.handle, Epoch: 1}, []byte("x"))
	reply := wire.NewMessage(wire.Header{Type: wire.Reply, Hit: h.handle, Epoch: h.epoch}, []byte("x"))
	call.From, reply.From = h.c.ref, h.w.ref
	fx := make([]machine.Effect, 0, 4)
	return func() {
		call.Header.Seq++
		reply.Header.Seq++
		if fx = m.Message(s.now, call, fx[:0]); len(fx) != 1 || fx[0].Kind != machine.Forward || fx[0].To != h.w.ref {
			panic("the call is not passed on")
		}
		if fx = m.Message(s.now, reply, fx[:0]); len(fx) != 1 || fx[0].Kind != machine.Forward || fx[0].To != h.c.ref {
			panic("the reply is not passed on")
		}
	}
}

func TestACallAllocatesNothing(t *testing.T) {
	require.Zero(t, testing.AllocsPerRun(1000, hot(t)))
}

func BenchmarkCallAndReply(b *testing.B) {
	step := hot(b)
	b.ReportAllocs()
	for b.Loop() {
		step()
	}
}

// A broker holds one per open hit; the next class of the allocator is 224 bytes.
func TestAHitIsSmall(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(machine.Hit{}), uintptr(208))
}
