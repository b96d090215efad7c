package bridge

import (
	"container/heap"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The heap holds exactly the armed timers, and gives them back in order.
func TestTimersAreInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &Loop{}
		all := make([]*Timer, 8)
		for i := range all {
			all[i] = l.NewTimer(nil, i)
		}
		armed := map[*Timer]time.Duration{}
		for range rapid.IntRange(0, 100).Draw(t, "steps") {
			x := rapid.SampledFrom(all).Draw(t, "timer")
			switch rapid.IntRange(0, 2).Draw(t, "step") {
			case 0, 1:
				at := time.Duration(rapid.IntRange(0, 20).Draw(t, "at"))
				x.Set(at)
				armed[x] = at
			case 2:
				x.Stop()
				delete(armed, x)
			}
			require.Len(t, l.timers, len(armed))
		}
		last := time.Duration(-1)
		for len(l.timers) > 0 {
			x, _ := heap.Pop(&l.timers).(*Timer)
			require.Equal(t, armed[x], x.at)
			require.GreaterOrEqual(t, x.at, last)
			require.Equal(t, -1, x.index)
			last = x.at
			delete(armed, x)
		}
		require.Empty(t, armed)
	})
}
