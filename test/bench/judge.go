package main

import (
	"errors"
	"slices"
)

// The verdicts on a figure.
const (
	ok   = "ok"
	miss = "MISS"
	fail = "FAIL"
)

// values is what one experiment found in one round.
type values map[string]float64

// results holds the values of every experiment, one entry a round, and the error that ended it.
type results struct {
	rounds int
	values map[string][]values
	failed map[string]error
}

// figure is a row with its value. The exported fields are a line of bench.json.
type figure struct {
	Name      string   `json:"name"`
	Value     *float64 `json:"value,omitempty"`
	Unit      string   `json:"unit"`
	Peer      string   `json:"peer"`
	PeerValue *float64 `json:"peer_value,omitempty"`
	Ratio     *float64 `json:"ratio,omitempty"`
	Rounds    int      `json:"rounds"`
	Error     string   `json:"error,omitempty"`

	reach   reach
	verdict string
}

// judge makes the figure of a row: medians over the rounds, and the median of the rounds' ratios. What one side has
// given stands there even when the other failed.
func (r row) judge(done results) figure {
	f := figure{Name: r.name, Unit: r.unit, Peer: r.peer, Rounds: done.rounds, reach: r.reach}
	mine, err := done.series(r.mine)
	if err == nil {
		f.Value = new(median(mine))
	}
	if r.other != (place{}) {
		other, peerErr := done.series(r.other)
		if peerErr == nil {
			f.PeerValue = new(median(other))
		} else if r.other.experiment != r.mine.experiment {
			err = errors.Join(err, peerErr)
		}
		if err == nil {
			f.Ratio = new(median(ratios(mine, other)))
		}
	}
	if err != nil {
		f.verdict, f.Error = fail, err.Error()
		return f
	}
	f.verdict = r.reach.verdict(f)
	return f
}

// series returns the values of a place, one a round.
func (d results) series(p place) ([]float64, error) {
	if err := d.failed[p.experiment]; err != nil {
		return nil, err
	}
	var all []float64
	for _, v := range d.values[p.experiment] {
		all = append(all, v[p.value])
	}
	if len(all) == 0 {
		return nil, errors.New(p.experiment + " was not measured")
	}
	return all, nil
}

func (r reach) verdict(f figure) string {
	judged := f.Value
	if r.ratio {
		judged = f.Ratio
	}
	if (r.least > 0 && *judged < r.least) || (r.most > 0 && *judged > r.most) {
		return miss
	}
	return ok
}

// median returns the middle of the values, which are at least one.
func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// ratios divides round by round.
func ratios(mine, other []float64) []float64 {
	out := make([]float64, min(len(mine), len(other)))
	for i := range out {
		out[i] = mine[i] / other[i]
	}
	return out
}
