package prio_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/prio"
)

type item struct{ rank, at int }

// TestTheFirstIsTheLeast: whatever is added, moved and taken out, the first item is the least of a model that is searched.
func TestTheFirstIsTheLeast(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	q := prio.New(func(a, b *item) bool { return a.rank < b.rank }, func(x *item) *int { return &x.at })
	var in, out []*item
	for range 40 {
		out = append(out, &item{at: -1})
	}
	for range 20_000 {
		switch n := rnd.IntN(3); {
		case n == 0 && len(out) > 0:
			x := take(&out, rnd)
			x.rank = rnd.IntN(50)
			q.Fix(x)
			in = append(in, x)
		case n == 1 && len(in) > 0:
			x := in[rnd.IntN(len(in))]
			x.rank = rnd.IntN(50)
			q.Fix(x)
		case n == 2 && len(in) > 0:
			x := take(&in, rnd)
			q.Remove(x)
			q.Remove(x) // does nothing
			out = append(out, x)
			require.Equal(t, -1, x.at)
		}
		require.Equal(t, len(in), q.Len())
		if len(in) > 0 {
			least := slices.MinFunc(in, func(a, b *item) int { return a.rank - b.rank })
			require.Equal(t, least.rank, q.First().rank)
			require.Contains(t, in, q.First())
		}
	}
}

func take(from *[]*item, rnd *rand.Rand) *item {
	i := rnd.IntN(len(*from))
	x := (*from)[i]
	*from = slices.Delete(*from, i, i+1)
	return x
}
