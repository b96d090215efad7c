package load

import (
	"math"
	"math/bits"
	"time"
)

// histogram counts durations in buckets, 64 for each power of two, so that a quantile is off by 1.6 percent at most.
type histogram struct {
	counts [buckets]uint64
	total  uint64
	most   time.Duration
}

const (
	perOctave = 64
	buckets   = 58 * perOctave // all of int64
)

// bucket returns where a duration of so many nanoseconds is counted: below perOctave exactly, above by its six highest bits behind the first.
func bucket(ns uint64) int {
	if ns < perOctave {
		return int(ns)
	}
	shift := bits.Len64(ns) - 7
	return (shift+1)*perOctave + int(ns>>shift) - perOctave
}

// upper returns the longest duration that is counted in a bucket.
func upper(b int) time.Duration {
	if b < perOctave {
		return time.Duration(b)
	}
	shift := b/perOctave - 1
	return time.Duration((uint64(b%perOctave+perOctave)+1)<<shift - 1)
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucket(uint64(max(d, 0)))]++
	h.total++
	h.most = max(h.most, d)
}

func (h *histogram) merge(o *histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.total += o.total
	h.most = max(h.most, o.most)
}

// quantile returns what a share q of all durations does not exceed; 0 where nothing was counted.
func (h *histogram) quantile(q float64) time.Duration {
	need := max(uint64(math.Ceil(q*float64(h.total))), 1)
	seen := uint64(0)
	for i, n := range h.counts {
		if seen += n; seen >= need && n > 0 {
			return min(upper(i), h.most)
		}
	}
	return 0
}
