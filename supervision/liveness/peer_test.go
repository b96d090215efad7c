package liveness_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/supervision/liveness"
)

const (
	limit = 3 * time.Second
	ms    = time.Millisecond
)

// at brings a peer into a state; its last sign was at one second.
func at(t *testing.T, s liveness.State) *liveness.Peer {
	t.Helper()
	p := &liveness.Peer{Silence: limit}
	do := func(now time.Duration, e liveness.Event) { p.Step(now, e, nil) }
	if s != liveness.Away {
		do(time.Second, liveness.Event{What: liveness.Met})
	}
	switch s {
	case liveness.Away, liveness.Well:
	case liveness.Doubted:
		do(4*time.Second, liveness.Event{What: liveness.Ran})
	case liveness.Stopped:
		do(4*time.Second, liveness.Event{What: liveness.Ran})
		do(4*time.Second, liveness.Event{What: liveness.Sounded, Known: true, Silent: limit})
	case liveness.Over:
		do(2*time.Second, liveness.Event{What: liveness.Lost})
	}
	require.Equal(t, s, p.State())
	return p
}

var (
	look    = liveness.Effect{Kind: liveness.Look}
	gone    = liveness.Effect{Kind: liveness.Tell, Verdict: liveness.Gone, Measured: 4 * time.Second, Limit: limit}
	frozen  = liveness.Effect{Kind: liveness.Tell, Verdict: liveness.Frozen, Measured: 4 * time.Second, Limit: limit}
	healthy = liveness.Effect{Kind: liveness.Tell, Verdict: liveness.Healthy, Measured: 4 * time.Second, Limit: limit}
)

// TestEveryStateAndEvent is the table of docs/liveness.md: what an event at five seconds does to a peer that has given no sign since the first.
func TestEveryStateAndEvent(t *testing.T) {
	type outcome struct {
		state liveness.State
		fx    []liveness.Effect
	}
	stays := func(s liveness.State) outcome { return outcome{s, nil} }
	silent := liveness.Event{What: liveness.Sounded, Known: true, Silent: 4 * time.Second}
	events := map[string]liveness.Event{
		"met": {What: liveness.Met}, "heard": {What: liveness.Heard}, "beat got": {What: liveness.BeatGot}, "beat sent": {What: liveness.BeatSent},
		"silent": silent, "alive": {What: liveness.Sounded, Known: true, Silent: time.Second}, "unknown": {What: liveness.Sounded, Silent: 4 * time.Second},
		"lost": {What: liveness.Lost}, "refused": {What: liveness.Refused}, "lengthened": {What: liveness.Lengthened, Limit: time.Minute},
		"ran": {What: liveness.Ran}, "ran after a pause": {What: liveness.Ran, Since: 5 * time.Second},
	}
	well, doubted, over := stays(liveness.Well), stays(liveness.Doubted), stays(liveness.Over)
	said := func(s liveness.State, fx ...liveness.Effect) outcome { return outcome{s, fx} }
	alive := map[string]outcome{
		"met": well, "heard": well, "beat got": well, "beat sent": well, "silent": said(liveness.Stopped, frozen), "alive": well, "unknown": well,
		"lost": said(liveness.Over, gone), "refused": said(liveness.Over, gone), "lengthened": well, "ran": said(liveness.Doubted, look), "ran after a pause": well,
	}
	later := map[string]outcome{"met": doubted, "beat sent": doubted, "lengthened": doubted, "ran after a pause": doubted}
	table := map[liveness.State]map[string]outcome{
		liveness.Away: {
			"met": well, "heard": well, "lost": said(liveness.Over, liveness.Effect{Kind: liveness.Tell, Verdict: liveness.Gone, Measured: 5 * time.Second, Limit: limit}),
			"refused": said(liveness.Over, liveness.Effect{Kind: liveness.Tell, Verdict: liveness.Gone, Measured: 5 * time.Second, Limit: limit}),
		},
		liveness.Well: alive,
		liveness.Stopped: {
			"met": well, "heard": said(liveness.Well, healthy), "beat got": said(liveness.Well, healthy), "lost": over, "refused": over,
		},
		liveness.Over: {"met": well},
	}
	table[liveness.Doubted] = map[string]outcome{}
	for name, o := range alive {
		table[liveness.Doubted][name] = o
	}
	for name, o := range later {
		table[liveness.Doubted][name] = o
	}
	for s := liveness.Away; s <= liveness.Over; s++ {
		for name, e := range events {
			t.Run(fmt.Sprint(s, "/", name), func(t *testing.T) {
				want, named := table[s][name]
				if !named {
					want = stays(s)
				}
				p := at(t, s)
				fx := p.Step(5*time.Second, e, nil)
				require.Equal(t, want.state, p.State())
				require.Equal(t, want.fx, fx)
				require.Equal(t, p.State() == liveness.Well || p.State() == liveness.Doubted, p.Deadline() > 0)
			})
		}
	}
}

func TestALimitIsLengthenedNeverShortened(t *testing.T) {
	p := at(t, liveness.Well)
	p.Step(time.Second, liveness.Event{What: liveness.Lengthened, Limit: time.Second}, nil)
	require.Equal(t, 4*time.Second, p.Deadline())
	p.Step(time.Second, liveness.Event{What: liveness.Lengthened, Limit: 10 * time.Second}, nil)
	require.Equal(t, 11*time.Second, p.Deadline())
	require.Empty(t, p.Step(10*time.Second, liveness.Event{What: liveness.Ran}, nil))
	require.Equal(t, []liveness.Effect{look}, p.Step(11*time.Second, liveness.Event{What: liveness.Ran}, nil))
}

func TestWithoutALimitNobodyIsFrozen(t *testing.T) {
	p := &liveness.Peer{}
	p.Step(0, liveness.Event{What: liveness.Met}, nil)
	p.Step(0, liveness.Event{What: liveness.Lengthened, Limit: time.Second}, nil)
	require.Zero(t, p.Deadline())
	require.Empty(t, p.Step(time.Hour, liveness.Event{What: liveness.Ran}, nil))
	require.Empty(t, p.Step(time.Hour, liveness.Event{What: liveness.Sounded, Known: true, Silent: time.Hour}, nil))
	require.Equal(t, liveness.Well, p.State())
}

// TestATransportWithoutMemory is looked at often enough that the verdict is exact to a tenth, and never because of one look alone.
func TestATransportWithoutMemory(t *testing.T) {
	p := &liveness.Peer{Silence: limit}
	p.Step(0, liveness.Event{What: liveness.Met}, nil)
	now, stops := time.Duration(0), 7*time.Second
	for p.State() != liveness.Stopped {
		require.Greater(t, p.Deadline(), now, "it wants to be called again at once")
		now = p.Deadline()
		require.Less(t, now, 11*time.Second)
		for _, f := range p.Step(now, liveness.Event{What: liveness.Ran}, nil) {
			require.Equal(t, look, f)
			heard := min(now, stops)
			if now > stops {
				heard = p.Heard() // the last look that found it alive
			}
			p.Step(now, liveness.Event{What: liveness.Sounded, Known: true, Coarse: true, Silent: now - heard}, nil)
		}
	}
	require.InDelta(t, (stops + limit).Seconds(), now.Seconds(), limit.Seconds()/10)
}

// TestSentIsReceived exchanges 100,000 heartbeats each way. Several may wait for a host that is busy; each counts.
func TestSentIsReceived(t *testing.T) {
	const beats = 100_000
	var sides [2]liveness.Peer
	var wire [2]int // beats on the way to each
	for i := range sides {
		sides[i] = liveness.Peer{Silence: limit, Beat: 10 * ms}
		sides[i].Step(0, liveness.Event{What: liveness.Met}, nil)
	}
	drain := func(i int, now time.Duration) {
		for ; wire[i] > 0; wire[i]-- {
			require.Empty(t, sides[i].Step(now, liveness.Event{What: liveness.BeatGot}, nil))
		}
	}
	for n := 1; n <= beats; n++ {
		now := time.Duration(n) * 10 * ms
		for i := range sides {
			if i == 0 || n%7 == 0 { // one reads seldom: seven wait in one poll
				drain(i, now)
			}
			require.LessOrEqual(t, sides[i].Deadline(), now)
			fx := sides[i].Step(now, liveness.Event{What: liveness.Ran}, nil)
			require.Equal(t, []liveness.Effect{{Kind: liveness.Beat}}, fx)
			wire[1-i]++
			sides[i].Step(now, liveness.Event{What: liveness.BeatSent}, nil)
		}
	}
	for i := range sides {
		drain(i, beats*10*ms)
	}
	for i := range sides {
		sent, _ := sides[i].Beats()
		_, got := sides[1-i].Beats()
		require.EqualValues(t, beats, sent)
		require.Equal(t, sent, got)
	}
}
