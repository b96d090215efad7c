package why_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/supervision/why"
)

func stuck() why.Record {
	r := why.Record{
		Verdict: "STUCK", Detector: "progress lease", Measured: "no sign of the hit's thread for 10.2s", Done: "the client was told",
		Knob: "--stuck", Worker: "w", Hit: "1f", Call: 3, AgeMS: 61_000, AtMS: 70_000,
	}
	r.Measure("no_sign", 10_200*time.Millisecond, 10*time.Second)
	r.Hear(why.Sign{What: "answer to call 2", AgoMS: 10_300}, why.Sign{What: "opened", AgoMS: 61_000})
	return r
}

func TestFormsOfARecord(t *testing.T) {
	r := stuck()
	require.Equal(t, strings.Join([]string{
		"STUCK  worker w  hit 1f  call 3",
		"  detector  progress lease",
		"  measured  no sign of the hit's thread for 10.2s",
		"  values    no_sign 10.2s (limit 10s)",
		"  heard     answer to call 2 10.3s before, opened 1m1s before",
		"  done      the client was told",
		"  knob      --stuck",
		"  age       1m1s",
	}, "\n"), r.Text())
	require.Equal(t, "STUCK: progress lease: no sign of the hit's thread for 10.2s", r.Line())
	again, err := why.Parse(r.JSON())
	require.NoError(t, err)
	require.Equal(t, r, again)
	for _, bad := range []string{"", "[]", "{}", `{"verdict":7}`} {
		_, err := why.Parse([]byte(bad))
		require.ErrorContains(t, err, "not a why-record")
	}
}

func TestARecordHearsSoMuchOnly(t *testing.T) {
	var r why.Record
	for i := range 3 {
		signs := make([]why.Sign, 5)
		signs[0].AgoMS = int64(i)
		r.Hear(signs...)
	}
	require.Len(t, r.Heard, why.MaxHeard)
	require.EqualValues(t, 1, r.Heard[5].AgoMS)
}

func TestTheStoreIsBounded(t *testing.T) {
	s := why.NewStore(8)
	for i := range 100 {
		s.Add(why.Record{Verdict: "GONE", Worker: fmt.Sprint("w", i%2), AtMS: int64(i)})
	}
	require.Equal(t, 8, s.Len())
	require.EqualValues(t, 92, s.Dropped())
	require.EqualValues(t, 100, s.Counts()["GONE"])
	found := s.About("w1", 3)
	require.Equal(t, []int64{99, 97, 95}, []int64{found[0].AtMS, found[1].AtMS, found[2].AtMS})
	require.Empty(t, s.About("w2", 3))

	for i := range 10 { // they have room of their own
		s.Add(why.Record{Verdict: "SLOW", Hit: "1f", AtMS: int64(95 + i)})
	}
	require.Equal(t, 10, s.Len())
	require.Len(t, s.Find(100, func(r *why.Record) bool { return r.Verdict == "GONE" }), 8)
	all := s.Find(100, func(*why.Record) bool { return true })
	for i := range all[1:] {
		require.GreaterOrEqual(t, all[i].AtMS, all[i+1].AtMS, "the latest first")
	}
}
