package actors_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// TestWhatAPeerSaysIsHeardInOrder: what a peer says while its actor is still being started, by way of the broker's actor, is not overtaken by what it
// says when the actor is up, whenever the loop looks at its sockets.
func TestWhatAPeerSaysIsHeardInOrder(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 7))
			s := newStage(t)
			s.loop.throughput = 1 + rnd.IntN(3)
			workerSaysChanged(s, rnd)
			clientEndsByReference(s, rnd)
		})
	}
}

func workerSaysChanged(s *stage, rnd *rand.Rand) {
	w := s.peer()
	w.whisper(wire.Header{Type: wire.Ready}, `{"name":"w","services":["echo"],"slots":1}`)
	last := 0
	for range 8 {
		s.loop.some(rnd.IntN(4))
		last = rnd.IntN(5)
		w.whisper(wire.Header{Type: wire.Changed}, fmt.Sprintf(`{"slots":%d}`, last))
	}
	s.loop.drain()
	w.expect(wire.Welcome)
	w.silent()
	require.Equal(s.t, last, s.status().Services[0].Slots, "what the worker has said last")
	w.say(wire.Header{Type: wire.Bye})
}

// clientEndsByReference: the hit's handle is not known to the client yet, and its actor may not be up.
func clientEndsByReference(s *stage, rnd *rand.Rand) {
	w, c := s.worker("second", "4"), s.client()
	c.whisper(wire.Header{Type: wire.Open, Flags: wire.Ref, Hit: 9}, "echo", "")
	s.loop.some(rnd.IntN(4))
	c.whisper(wire.Header{Type: wire.Cancel, Flags: wire.Ref, Hit: 9})
	s.loop.some(rnd.IntN(6))
	c.whisper(wire.Header{Type: wire.Close, Flags: wire.Ref, Hit: 9})
	s.loop.drain()
	w.expect(wire.Begin)
	w.expect(wire.Cancel) // the client's
	w.expect(wire.Cancel) // CLOSE brings its own
	w.expect(wire.End)
}
