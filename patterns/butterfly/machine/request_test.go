package machine_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-mq/troupe/patterns/butterfly/machine"
)

func stages(names ...string) func(string) bool {
	return func(s string) bool { return slices.Contains(names, s) }
}

var (
	limits = machine.Limits{Hops: 8, Fan: 3}
	next   = machine.Answer{Verdict: machine.Next}
	reply  = machine.Answer{}
)

func to(stages ...string) machine.Answer { return machine.Answer{Verdict: machine.To, To: stages} }

func one(t *testing.T, e machine.Effect, stage string, from ...int) machine.Call {
	t.Helper()
	require.False(t, e.Over, "%s", e.Text)
	require.Len(t, e.Calls, 1)
	require.Equal(t, stage, e.Calls[0].Stage)
	require.Equal(t, from, e.Calls[0].From)
	return e.Calls[0]
}

func TestAlongTheRoute(t *testing.T) {
	r := machine.New([]string{"parse", "compute", "format"}, stages("parse", "compute", "format"), limits)
	c := one(t, r.Begin(), "parse")
	c = one(t, r.Answered(c.No, next), "compute", c.No)
	require.Equal(t, machine.Effect{}, r.Answered(99, next), "no such call")
	c = one(t, r.Answered(c.No, next), "format", c.No)
	require.Equal(t, 2, c.Hop)
	require.Equal(t, machine.Effect{Over: true, Answer: c.No}, r.Answered(c.No, reply))
	require.Equal(t, machine.Effect{}, r.Answered(c.No, reply))
}

func TestEarlyExitAndJumps(t *testing.T) {
	known := stages("a", "b", "c", "aside")
	r := machine.New([]string{"a", "b", "c"}, known, limits)
	require.Equal(t, machine.Effect{Over: true, Answer: 1}, func() machine.Effect { c := one(t, r.Begin(), "a"); return r.Answered(c.No, reply) }())

	r = machine.New([]string{"a", "b", "c"}, known, limits)
	c := one(t, r.Begin(), "a")
	c = one(t, r.Answered(c.No, to("aside")), "aside", c.No)
	c = one(t, r.Answered(c.No, next), "b", c.No) // where it had left the route
	c = one(t, r.Answered(c.No, to("a")), "a", c.No)
	c = one(t, r.Answered(c.No, to("c")), "c", c.No)
	e := r.Answered(c.No, next)
	require.Equal(t, machine.NoNext, e.Fault)
	require.Contains(t, e.Text, `"c" is the last stage`)
}

func TestCyclesEnd(t *testing.T) {
	r := machine.New([]string{"a"}, stages("a"), limits)
	c := one(t, r.Begin(), "a")
	for range limits.Hops - 1 {
		c = one(t, r.Answered(c.No, to("a")), "a", c.No)
	}
	e := r.Answered(c.No, to("a"))
	require.Equal(t, machine.Cycle, e.Fault)
	require.Contains(t, e.Text, "8 hops")
}

func TestBranchesAreJoined(t *testing.T) {
	known := stages("split", "x", "y", "more", "merge", "end")
	r := machine.New([]string{"split", "end"}, known, limits)
	c := one(t, r.Begin(), "split")
	e := r.Answered(c.No, machine.Answer{Verdict: machine.To, To: []string{"x", "y"}, Join: "merge"})
	require.Len(t, e.Calls, 2)
	x, y := e.Calls[0], e.Calls[1]
	require.Equal(t, machine.Effect{}, r.Answered(y.No, next))
	m := one(t, r.Answered(x.No, to("more")), "more", x.No)
	j := one(t, r.Answered(m.No, next), "merge", m.No, y.No)
	last := one(t, r.Answered(j.No, next), "end", j.No)
	require.True(t, r.Answered(last.No, reply).Over)

	r = machine.New([]string{"split", "end"}, known, limits) // a branch answers: all is over
	c = one(t, r.Begin(), "split")
	e = r.Answered(c.No, to("x", "y"))
	require.Equal(t, machine.Effect{Over: true, Answer: e.Calls[0].No}, r.Answered(e.Calls[0].No, reply))
	require.Equal(t, 1, r.Under(), "what is to be cancelled")
	require.Equal(t, machine.Effect{}, r.Answered(e.Calls[1].No, next))

	r = machine.New([]string{"split", "end"}, known, limits) // without a name the next stage of the route joins
	c = one(t, r.Begin(), "split")
	e = r.Answered(c.No, to("x", "y"))
	r.Answered(e.Calls[0].No, next)
	one(t, r.Answered(e.Calls[1].No, next), "end", e.Calls[0].No, e.Calls[1].No)
}

func TestBadAnswers(t *testing.T) {
	for want, a := range map[machine.Fault]machine.Answer{
		machine.UnknownStage: to("nowhere"), machine.BadFan: to("a", "a", "a", "a"), machine.NoNext: next,
	} {
		r := machine.New([]string{"a"}, stages("a"), limits)
		c := one(t, r.Begin(), "a")
		e := r.Answered(c.No, a)
		require.Equal(t, want, e.Fault)
		require.True(t, e.Over)
	}
	r := machine.New([]string{"a"}, stages("a"), limits)
	c := one(t, r.Begin(), "a")
	require.Equal(t, machine.UnknownStage, r.Answered(c.No, machine.Answer{Verdict: machine.To, To: []string{"a", "a"}, Join: "nowhere"}).Fault)
	r = machine.New([]string{"b"}, stages("a"), limits)
	require.Equal(t, machine.UnknownStage, r.Begin().Fault)
}

// Whatever stages say: a request that is not over has calls under way, it ends within its hops, every call has its own number and is joined at most once.
func TestRequestsEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"a", "b", "c", "d"}
		route := rapid.SliceOfN(rapid.SampledFrom(names), 1, 4).Draw(t, "route")
		l := machine.Limits{Hops: rapid.IntRange(1, 20).Draw(t, "hops"), Fan: 3}
		r := machine.New(route, stages(names...), l)
		under, seen, used := []int{}, map[int]bool{}, map[int]bool{}
		over := false
		take := func(e machine.Effect) {
			for _, c := range e.Calls {
				require.False(t, seen[c.No])
				seen[c.No] = true
				under = append(under, c.No)
				require.Less(t, c.Hop, l.Hops)
			}
			over = e.Over
			if e.Over && e.Fault == machine.NoFault {
				require.True(t, seen[e.Answer])
			}
		}
		take(r.Begin())
		for steps := 0; !over; steps++ {
			require.Less(t, steps, l.Hops+1)
			require.NotEmpty(t, under, "it stands still")
			i := rapid.IntRange(0, len(under)-1).Draw(t, "which")
			no := under[i]
			under = append(under[:i:i], under[i+1:]...)
			require.False(t, used[no])
			used[no] = true
			a := machine.Answer{Verdict: machine.Verdict(rapid.IntRange(0, 2).Draw(t, "verdict"))}
			if a.Verdict == machine.To {
				a.To = rapid.SliceOfN(rapid.SampledFrom(append(names, "nowhere")), 0, 4).Draw(t, "to")
				a.Join = rapid.SampledFrom(append(names, "", "nowhere")).Draw(t, "join")
			}
			take(r.Answered(no, a))
			if !over {
				require.Equal(t, len(under), r.Under())
			}
		}
		require.LessOrEqual(t, len(seen), l.Hops)
	})
}
