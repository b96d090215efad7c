package load

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBucketsFollowEachOther(t *testing.T) {
	for b := range buckets - 1 {
		require.Equal(t, b, bucket(uint64(upper(b))))
		require.Equal(t, b+1, bucket(uint64(upper(b))+1))
	}
	require.Less(t, bucket(1<<63-1), buckets)
}

func TestQuantiles(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	parts := [2]*histogram{{}, {}}
	var all []time.Duration
	for i := range 20_000 {
		d := time.Duration(random.ExpFloat64() * 1e6)
		all = append(all, d)
		parts[i%2].add(d)
	}
	slices.Sort(all)
	h := &histogram{}
	h.merge(parts[0])
	h.merge(parts[1])
	require.Equal(t, all[len(all)-1], h.quantile(1))
	for _, q := range []float64{0.001, 0.5, 0.9, 0.99, 0.999} {
		exact := float64(all[int(q*float64(len(all)))-1])
		require.InEpsilon(t, exact, float64(h.quantile(q)), 0.017, "%v", q)
	}
	require.Zero(t, (&histogram{}).quantile(0.5))
}

func TestCallersShareOutTheHits(t *testing.T) {
	hits := make([]*assigner.Hit, 5)
	for i := range hits {
		hits[i] = new(assigner.Hit)
	}
	for window, want := range map[int][]int{1: {5}, 3: {2, 2, 1}, 5: {1, 1, 1, 1, 1}, 7: {1, 1, 1, 1, 1, 1, 1}} {
		c := Config{Window: window, Size: MinSize}
		var got []int
		seen := map[*assigner.Hit]bool{}
		for i := range window {
			one := newCaller(i, hits, c)
			got = append(got, len(one.hits))
			for _, h := range one.hits {
				seen[h] = true
			}
		}
		require.Equal(t, want, got)
		require.Len(t, seen, len(hits))
	}
}
