package machine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-mq/troupe/patterns/assigner/machine"
)

// Whatever hits come and go: no slot is given twice, none is made while one is free, and each above the least that was idle for long is retired.
func TestSlotsAreCountedRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		least := rapid.IntRange(1, 4).Draw(t, "least")
		most := least + rapid.IntRange(0, 4).Draw(t, "room")
		const idle = 10 * time.Second
		s := machine.NewSlots(least, most, idle)
		now := time.Duration(0)
		free := make([]time.Duration, least) // since when each is idle; the one used last is at the end
		used := []int{0, 0, 0}               // by broker
		sum := func() int { return used[0] + used[1] + used[2] }
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				size := s.Size()
				ok, grown := s.Take()
				require.Equal(t, len(free) > 0 || size < most, ok)
				require.Equal(t, ok && len(free) == 0, grown, "a slot is made when none is free, and only then")
				if !ok {
					return
				}
				if !grown {
					free = free[:len(free)-1]
				}
				used[rapid.IntRange(0, 2).Draw(t, "broker")]++
			},
			"give": func(t *rapid.T) {
				b := rapid.IntRange(0, 2).Draw(t, "broker")
				if used[b] == 0 {
					t.Skip("it has none")
				}
				used[b]--
				s.Give(now)
				free = append(free, now)
			},
			"wait": func(t *rapid.T) {
				now += time.Duration(rapid.IntRange(0, 15).Draw(t, "seconds")) * time.Second
				retired := 0
				for most > least && len(free)+sum() > least && len(free) > 0 && free[0]+idle <= now {
					free = free[1:]
					retired++
				}
				require.Equal(t, retired, s.Tick(now))
			},
			"": func(t *rapid.T) {
				require.Equal(t, sum(), s.Used())
				require.Equal(t, sum()+len(free), s.Size())
				require.GreaterOrEqual(t, s.Size(), least)
				require.LessOrEqual(t, s.Size(), most)
				require.EqualValues(t, s.Size()-least, s.Grown-s.Retired)
				for _, own := range used {
					slots, room := s.Share(own)
					require.Equal(t, own+len(free), slots, "its own and the free ones")
					require.Equal(t, most-s.Size(), room-slots)
				}
				if at := s.Deadline(); at > 0 {
					require.Equal(t, free[0]+idle, at)
				}
			},
		})
	})
}
