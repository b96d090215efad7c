package chaos

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"time"
)

// Report is what a run has found, as chaos.json has it.
type Report struct {
	Seed          uint64               `json:"seed"`
	Seconds       float64              `json:"seconds"`
	Calls         uint64               `json:"calls"`
	CallsByKind   map[string]int       `json:"calls_by_kind"`
	Replies       int                  `json:"replies"`
	Moved         int                  `json:"moved"`  // calls that were answered by another worker than the one that had them first
	Errors        map[string]int       `json:"errors"` // typed, by status and outcome
	Messages      uint64               `json:"messages_on_the_wire"`
	Forged        int                  `json:"forged_calls"` // under an epoch that was over: refused
	Faults        map[string]int       `json:"faults"`
	Detection     map[string]Detection `json:"detection_ms"`             // by kind of fault and verdict
	Beyond        map[string]Detection `json:"measured_beyond_limit_ms"` // as the why-records say
	Verdicts      map[string]int       `json:"verdicts"`                 // all that were heard
	FalseVerdicts int                  `json:"false_verdicts"`
	Lost          int                  `json:"lost"`
	Doubled       int                  `json:"doubled"`
	Violations    int                  `json:"violations"`
	Counts        map[string]int       `json:"violations_by_promise,omitempty"`
	First         []Violation          `json:"first_violations,omitempty"`
}

// Detection says how long after its fault a verdict was heard.
type Detection struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
}

// NewDetection returns the quantiles of some durations.
func NewDetection(all []time.Duration) Detection {
	slices.Sort(all)
	at := func(q float64) float64 {
		if len(all) == 0 {
			return 0
		}
		i := min(int(math.Ceil(q*float64(len(all))))-1, len(all)-1)
		return float64(all[max(i, 0)].Microseconds()) / 1000
	}
	return Detection{len(all), at(0.5), at(0.99)}
}

// Take counts what callers were told.
func (r *Report) Take(told []Told) {
	r.CallsByKind, r.Errors = make(map[string]int), make(map[string]int)
	for _, t := range told {
		if t.No == 0 {
			continue
		}
		r.Calls++
		r.CallsByKind[t.Kind]++
		if t.Replied {
			r.Replies++
		} else {
			r.Errors[t.Status+", "+t.Outcome]++
		}
	}
}

// Judge takes what was found.
func (r *Report) Judge(v *Violations) {
	r.Lost, r.Doubled, r.FalseVerdicts = v.Counts["lost"], v.Counts["doubled"], v.Counts["false verdict"]
	r.Violations, r.Counts, r.First = v.Total(), v.Counts, v.First
}

// Write writes the report to a file.
func (r *Report) Write(name string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(b, '\n'), 0o644) //nolint:gosec // a report is for everybody
}
