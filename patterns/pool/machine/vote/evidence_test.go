package vote_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/pool/machine/vote"
)

func sample(at time.Duration, change func(*vote.Sample)) vote.Sample {
	s := vote.Sample{At: at, Alive: true, Held: true, Bound: true}
	if change != nil {
		change(&s)
	}
	return s
}

// TestGuiltNeedsPositiveEvidence: whoever lacked what it needs to go on is not guilty of standing still.
func TestGuiltNeedsPositiveEvidence(t *testing.T) {
	for name, c := range map[string]struct {
		both, last func(*vote.Sample)
		guilty     bool
		ended      bool
		says       string
	}{
		"idle":                {guilty: true, says: vote.Idle},
		"stopped":             {both: func(s *vote.Sample) { s.Stopped = true }, guilty: true, says: vote.Stopped},
		"busy":                {last: func(s *vote.Sample) { s.CPU = 900 * time.Millisecond }, guilty: true, says: vote.Busy},
		"stopped just now":    {last: func(s *vote.Sample) { s.Stopped = true }, says: "a moment ago"},
		"debugged":            {both: func(s *vote.Sample) { s.Stopped, s.Traced = true, true }, says: "debugger"},
		"starved":             {last: func(s *vote.Sample) { s.Waited = 600 * time.Millisecond }, says: "no processor for 600ms of 1s"},
		"many threads":        {last: func(s *vote.Sample) { s.Waited, s.CPU = 900*time.Millisecond, 600*time.Millisecond }, guilty: true, says: vote.Busy},
		"waits for a device":  {both: func(s *vote.Sample) { s.Blocked = true }, says: "device"},
		"control group":       {both: func(s *vote.Sample) { s.Frozen = true }, says: "control group"},
		"another namespace":   {both: func(s *vote.Sample) { s.Foreign, s.Alive = true, false }, says: "namespace"},
		"not bound":           {both: func(s *vote.Sample) { s.Bound = false }, says: "not bound"},
		"dead":                {last: func(s *vote.Sample) { s.Alive = false }, ended: true},
		"has given it up":     {last: func(s *vote.Sample) { s.Held = false }, ended: true},
		"looked at once only": {last: func(s *vote.Sample) { s.At = 0 }, says: "once only"},
	} {
		t.Run(name, func(t *testing.T) {
			first, last := sample(0, c.both), sample(time.Second, c.both)
			if c.last != nil {
				c.last(&last)
			}
			f := vote.Judge(first, last)
			require.Equal(t, c.guilty, f.Guilty, f.What)
			require.Equal(t, c.ended, f.Ended)
			require.Contains(t, f.What, c.says)
		})
	}
}

// TestMajority: the hung one counts, so that hosts of one or two members never kill.
func TestMajority(t *testing.T) {
	for living, want := range []int{1, 1, 2, 2, 3, 3, 4, 4, 5} {
		require.Equal(t, want, vote.Majority(living, vote.Faults{}), living)
		voters := living - 1
		require.Equal(t, living > 2, want <= voters, "of %d", living)
	}
}
