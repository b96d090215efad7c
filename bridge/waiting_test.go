package bridge

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-mq/troupe/bridge/wire"
)

func waits(hit uint64, seq uint32, size int) *wire.Message {
	return &wire.Message{Header: wire.Header{Hit: hit, Seq: seq}, Size: size}
}

func TestWaitingTakesTurns(t *testing.T) {
	var w waiting
	for seq := range uint32(3) {
		w.push(waits(1, seq, 100))
	}
	w.push(waits(2, 0, 10))
	w.push(waits(3, 0, 1))
	w.push(waits(3, 1, 1))
	var got [][2]uint64
	for m := w.next(); m != nil; m = w.next() {
		require.Same(t, m, w.pop())
		got = append(got, [2]uint64{m.Header.Hit, uint64(m.Header.Seq)})
	}
	require.Equal(t, [][2]uint64{{1, 0}, {2, 0}, {3, 0}, {1, 1}, {3, 1}, {1, 2}}, got)
	require.Equal(t, waiting{}, w, "an empty queue keeps no memory")
}

// Each hit's messages leave in order, no hit waits for more than one message of each other, and the sums are right.
func TestWaitingIsFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w waiting
		pushed, popped := map[uint64]uint32{}, map[uint64]uint32{}
		behind := map[uint64]map[uint64]int{} // of each waiting hit: messages of others since its last one
		bytes, count := 0, 0
		for range rapid.IntRange(0, 400).Draw(t, "steps") {
			if hit := rapid.Uint64Range(0, 6).Draw(t, "hit"); rapid.Bool().Draw(t, "push") {
				size := rapid.IntRange(32, 5000).Draw(t, "size")
				w.push(waits(hit, pushed[hit], size))
				pushed[hit]++
				if behind[hit] == nil {
					behind[hit] = map[uint64]int{}
				}
				bytes, count = bytes+size, count+1
			} else if m := w.next(); m == nil {
				require.Zero(t, count)
			} else {
				require.Same(t, m, w.pop())
				h := m.Header.Hit
				require.Equal(t, popped[h], m.Header.Seq)
				popped[h]++
				for other, seen := range behind {
					if other != h {
						seen[h]++
						require.LessOrEqual(t, seen[h], 2, "hit %d overtakes hit %d again and again", h, other)
					}
				}
				behind[h] = map[uint64]int{}
				if popped[h] == pushed[h] {
					delete(behind, h)
				}
				bytes, count = bytes-m.Size, count-1
			}
			require.Equal(t, bytes, w.bytes)
			require.Equal(t, count, w.count)
			require.Equal(t, count == 0, w.empty())
		}
	})
}
