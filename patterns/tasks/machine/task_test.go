package machine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-mq/troupe/patterns/tasks/machine"
)

func most(n int64) int64 { return n - 1 }

func TestATaskThatIsAnswered(t *testing.T) {
	m := machine.New(machine.Retry{}, 0, most)
	require.Equal(t, machine.Effect{Run: true}, m.Tick(5))
	require.Zero(t, m.Deadline())
	require.Equal(t, machine.Effect{}, m.Tick(6))
	require.Equal(t, machine.Effect{Settle: true}, m.Ended(7, machine.Answered, "a"))
	require.Equal(t, machine.Effect{}, m.Ended(8, machine.Answered, "a"), "an attempt ends once")
	require.Equal(t, machine.Effect{}, m.Cancel())
}

func TestFailedTasksRunElsewhere(t *testing.T) {
	m := machine.New(machine.Retry{Most: 3, Base: 10, Max: 25}, 0, most)
	m.Tick(1)
	for i, wait := range []time.Duration{10, 20, 25} {
		now := time.Duration(100 * (i + 1))
		require.Equal(t, machine.Effect{}, m.Ended(now, machine.Failed, string(rune('a'+i))))
		require.Equal(t, now+wait, m.Deadline(), "try %d", i)
		require.Equal(t, machine.Effect{}, m.Tick(now+wait-1))
		e := m.Tick(now + wait)
		require.True(t, e.Run)
		require.Len(t, e.Avoid, i+1)
		require.Equal(t, string(rune('a'+i)), e.Avoid[i])
	}
	m.Ended(500, machine.Alone, "")
	require.Equal(t, machine.Effect{Run: true}, m.Tick(500), "nobody is avoided where nobody else is left")
	require.Equal(t, machine.Effect{Settle: true}, m.Ended(600, machine.Failed, "a"))
	require.Equal(t, 3, m.Attempts())
}

func TestWhatFindsNoRoomWaits(t *testing.T) {
	m := machine.New(machine.Retry{}, 0, most)
	now := time.Duration(1)
	m.Tick(now)
	for range 40 {
		require.Equal(t, machine.Effect{}, m.Ended(now, machine.Crowded, ""))
		require.LessOrEqual(t, m.Deadline()-now, 500*time.Millisecond)
		now = m.Deadline()
		require.Equal(t, machine.Effect{Run: true}, m.Tick(now))
	}
	require.Equal(t, machine.Effect{Settle: true}, m.Ended(now, machine.Failed, ""))
}

// Whatever happens: a task settles exactly once, has one attempt at a time, no more attempts than it may, and is over at its deadline.
func TestTasksEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		retry := machine.Retry{Most: rapid.IntRange(0, 4).Draw(t, "most"), Base: time.Duration(rapid.IntRange(0, 20).Draw(t, "base")), Max: time.Duration(rapid.IntRange(0, 50).Draw(t, "max"))}
		until := time.Duration(rapid.IntRange(0, 500).Draw(t, "until"))
		m := machine.New(retry, until, func(n int64) int64 { return rapid.Int64Range(0, n-1).Draw(t, "random") })
		now, settled, running, failures := time.Duration(0), 0, false, 0
		take := func(e machine.Effect) {
			if e.Run {
				require.False(t, running, "two attempts at once")
				require.Zero(t, settled)
				running = true
			}
			if e.Stop {
				require.True(t, running)
				running = false
				if !e.Settle { // its end settles it
					settled++
				}
			}
			if e.Settle {
				settled++
			}
			require.LessOrEqual(t, settled, 1)
		}
		for range 200 {
			now += time.Duration(rapid.IntRange(0, 20).Draw(t, "passes"))
			take(m.Tick(now))
			if running && rapid.Bool().Draw(t, "ends") {
				v := machine.Verdict(rapid.IntRange(0, 4).Draw(t, "verdict"))
				if v == machine.Failed {
					failures++
				}
				running = false
				take(m.Ended(now, v, "m"))
			}
			if rapid.IntRange(0, 60).Draw(t, "cancelled") == 60 {
				take(m.Cancel())
			}
			require.Equal(t, m.State() == machine.Over, settled == 1)
			require.LessOrEqual(t, failures, retry.Most+1)
			if until > 0 && now >= until {
				take(m.Tick(now))
				require.Equal(t, machine.Over, m.State())
			}
		}
	})
}
