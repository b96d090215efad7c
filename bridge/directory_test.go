package bridge

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A handle is never issued twice, means one PID while it is in use, and nobody before and after.
func TestDirectory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDirectory(rapid.Uint64Range(0, maxGeneration-1).Draw(t, "base"), nil, anybody)
		issued := map[uint64]bool{}
		bound := map[uint64]*actor.PID{} // of the handles in use
		var all []uint64
		pick := func() uint64 {
			if len(all) > 0 && rapid.Bool().Draw(t, "known") {
				return rapid.SampledFrom(all).Draw(t, "handle")
			}
			return rapid.Uint64().Draw(t, "any")
		}
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				h := d.Reserve()
				require.NotZero(t, h)
				require.False(t, issued[h], "%x was issued before", h)
				issued[h], bound[h] = true, nil
				all = append(all, h)
			case 1:
				h, pid := pick(), actor.NewPID("", "x")
				d.Bind(h, pid, nil)
				if _, used := bound[h]; used {
					bound[h] = pid
				}
			case 2:
				h := pick()
				d.Free(h)
				delete(bound, h)
			case 3:
				h := pick()
				require.Same(t, bound[h], d.Lookup(h))
			}
			require.Equal(t, len(bound), d.Len())
		}
		for _, h := range all {
			require.Same(t, bound[h], d.Lookup(h))
		}
	})
}

// A restarted broker issues other handles: generations begin at random.
func TestDirectoriesDiffer(t *testing.T) {
	seen := map[uint64]bool{}
	for range 1000 {
		h := newDirectory(0, nil, anybody).Reserve()
		require.False(t, seen[h])
		require.Zero(t, h>>63, "the top bit stays free")
		seen[h] = true
	}
}

func TestDirectoryIsFullOneDay(t *testing.T) {
	d := newDirectory(1, nil, anybody)
	d.slots = make([]slot, maxHits-1)
	require.Zero(t, d.Reserve())
	d.slots = d.slots[:maxHits-2]
	last := d.Reserve()
	require.NotZero(t, last)
	require.Zero(t, d.Reserve())
	d.Free(last)
	require.NotZero(t, d.Reserve())
}

// anybody finds a process for every PID.
func anybody(*actor.PID) (actor.Process, bool) { return nil, true }
