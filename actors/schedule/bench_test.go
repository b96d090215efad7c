package schedule_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/schedule"
)

// busy returns a queue of n workers, and a step that gives one hit out and takes an old one back.
func busy(name schedule.Name, n int) (step func()) {
	p := policy(name)
	for range n {
		add(p, "", 0, 64)
	}
	var held []*schedule.Entry[*worker]
	open := func() {
		e, _ := p.Choose()
		e.Worker.load.Used++
		p.Fix(e)
		held = append(held, e)
	}
	for range n * 32 { // half of the slots
		open()
	}
	oldest := 0
	return func() {
		e := held[oldest]
		e.Worker.load.Used--
		p.Fix(e)
		next, _ := p.Choose()
		next.Worker.load.Used++
		p.Fix(next)
		held[oldest] = next
		oldest = (oldest*31 + 17) % len(held)
	}
}

// BenchmarkPolicies shows what a hit's open and end cost: with 256 times the workers it is 8 levels of a heap more at most, not 256 times as much.
func BenchmarkPolicies(b *testing.B) {
	for _, name := range schedule.Names() {
		for _, n := range []int{4, 1024} {
			b.Run(string(name)+"/"+strconv.Itoa(n), func(b *testing.B) {
				step := busy(name, n)
				b.ReportAllocs()
				for b.Loop() {
					step()
				}
			})
		}
	}
}

func TestChoosingAllocatesNothing(t *testing.T) {
	for _, name := range schedule.Names() {
		step := busy(name, 64)
		require.Zero(t, testing.AllocsPerRun(1000, step), name)
	}
}
