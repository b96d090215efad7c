package butterfly

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// stats count what a stage does. The zero value is ready.
type stats struct {
	under, calls, failed, bad atomic.Int64
	busy                      atomic.Int64      // ns, all calls together
	times                     [40]atomic.Uint64 // calls by the number of bits of their time in us
}

func (s *stats) begin() { s.under.Add(1) }

func (s *stats) end(took time.Duration, failed bool) {
	s.under.Add(-1)
	s.calls.Add(1)
	if failed {
		s.failed.Add(1)
	}
	s.busy.Add(int64(took))
	s.times[min(bits.Len64(uint64(max(took.Microseconds(), 0))), len(s.times)-1)].Add(1)
}

func (s *stats) invalid() { s.bad.Add(1) }

// quantile returns a time below which so many calls of a hundred stayed, at most twice the true one.
func (s *stats) quantile(percent uint64) time.Duration {
	var all, seen uint64
	for i := range s.times {
		all += s.times[i].Load()
	}
	for i := range s.times {
		if seen += s.times[i].Load(); all > 0 && seen*100 >= all*percent {
			return time.Duration(1<<i) * time.Microsecond
		}
	}
	return 0
}

// StageStats is what a stage has done since the front's start.
type StageStats struct {
	Stage   string        `json:"stage"`
	Service string        `json:"service"`
	Under   int64         `json:"under_way"` // requests that wait for it, or are in it
	Calls   int64         `json:"calls"`
	Failed  int64         `json:"failed"`          // the stage could not be asked, or said no
	Invalid int64         `json:"invalid_answers"` // it answered what is no answer
	Mean    time.Duration `json:"mean_ns"`         // from the call to the answer, waiting included
	P50     time.Duration `json:"p50_ns"`          // at most twice the true value, as all quantiles here
	P99     time.Duration `json:"p99_ns"`
}

// Stats returns what all stages have done, by name.
func (f *Front) Stats() map[string]StageStats {
	all := make(map[string]StageStats, len(f.stages))
	for name, s := range f.stages {
		x := StageStats{
			Stage: name, Service: s.Service, Under: s.stats.under.Load(), Calls: s.stats.calls.Load(), Failed: s.stats.failed.Load(), Invalid: s.stats.bad.Load(),
			P50: s.stats.quantile(50), P99: s.stats.quantile(99),
		}
		if x.Calls > 0 {
			x.Mean = time.Duration(s.stats.busy.Load() / x.Calls)
		}
		all[name] = x
	}
	return all
}
