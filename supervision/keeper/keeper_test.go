package keeper_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-mq/troupe/supervision/keeper"
	"github.com/troupe-mq/troupe/supervision/restart"
)

const ms = time.Millisecond

var rules = keeper.Rules{
	Restart: restart.Transient, Intensity: restart.Intensity{Restarts: 3, Window: time.Minute}, Backoff: restart.Backoff{Min: 100 * ms, Max: time.Second},
	Frozen: 5 * time.Second, Pulse: 15 * time.Second, Grace: 2 * time.Second, AtOnce: []int{70}, Final: []int{2},
}

// stage is a keeper with a clock.
type stage struct {
	t    require.TestingT
	k    *keeper.Keeper
	now  time.Duration
	seen keeper.Sight // what a look shows
	all  []keeper.Effect
}

func newStage(t require.TestingT, r keeper.Rules) *stage {
	require.NoError(t, r.Validate())
	s := &stage{t: t, k: keeper.New(r), now: time.Hour}
	s.step(keeper.Event{What: keeper.Begin})
	s.expect(keeper.Start)
	s.step(keeper.Event{What: keeper.Started})
	return s
}

// step feeds an event, and answers looks.
func (s *stage) step(e keeper.Event) {
	fx := s.k.Step(s.now, e)
	for len(fx) > 0 {
		f := fx[0]
		fx = fx[1:]
		if f.Kind == keeper.Look {
			fx = append(fx, s.k.Step(s.now, keeper.Event{What: keeper.Looked, Seen: s.seen})...)
			continue
		}
		s.all = append(s.all, f)
	}
}

// expect takes the effects so far, which must be of these kinds.
func (s *stage) expect(kinds ...keeper.Kind) []keeper.Effect {
	var got []keeper.Kind
	for _, f := range s.all {
		got = append(got, f.Kind)
	}
	require.Equal(s.t, kinds, got)
	all := s.all
	s.all = nil
	return all
}

// pass lets time pass, with a tick at each deadline, and beats counted by beat.
func (s *stage) pass(d time.Duration, beat func(time.Duration)) {
	for until := s.now + d; ; {
		at := s.k.Deadline()
		if at == 0 || at > until {
			s.now = until
			return
		}
		s.now = max(at, s.now)
		if beat != nil {
			beat(s.now)
		}
		s.step(keeper.Event{What: keeper.Tick})
	}
}

func (s *stage) end(code int) []keeper.Effect {
	s.step(keeper.Event{What: keeper.Ended, End: keeper.End{Code: code}, Random: 0.5})
	return s.all
}

func TestRestartTypes(t *testing.T) {
	for _, c := range []struct {
		restart restart.Type
		code    int
		again   bool
	}{
		{restart.Permanent, 0, true},
		{restart.Permanent, 1, true},
		{restart.Transient, 0, false},
		{restart.Transient, 1, true},
		{restart.Temporary, 0, false},
		{restart.Temporary, 1, false},
		{restart.Permanent, 2, false},
	} {
		r := rules
		r.Restart = c.restart
		s := newStage(t, r)
		s.end(c.code)
		if !c.again {
			fx := s.expect(keeper.Report, keeper.Over)
			require.False(t, fx[0].Report.Again)
			require.NotEmpty(t, fx[0].Report.Reason)
			require.Equal(t, c.code, fx[1].Code)
			require.Zero(t, s.k.Deadline())
			continue
		}
		n := s.expect(keeper.Report)[0].Report
		require.True(t, n.Again)
		require.Equal(t, 50*ms, n.In, "half of the first ceiling")
		s.pass(50*ms, nil)
		s.expect(keeper.Start)
	}
}

func TestBackoffGrowsAndBeginsAnew(t *testing.T) {
	s := newStage(t, rules)
	for _, want := range []time.Duration{50 * ms, 100 * ms, 200 * ms} {
		s.end(1)
		require.Equal(t, want, s.expect(keeper.Report)[0].Report.In)
		s.pass(want, nil)
		s.expect(keeper.Start)
		s.step(keeper.Event{What: keeper.Started})
	}
	s.pass(time.Minute, nil)
	n := s.end(1)[0].Report
	require.Equal(t, 50*ms, n.In)
	require.Equal(t, 1, n.Count)
}

func TestIntensity(t *testing.T) {
	s := newStage(t, rules)
	for range 3 {
		s.end(9)
		s.pass(time.Second, nil)
		s.expect(keeper.Report, keeper.Start)
		s.step(keeper.Event{What: keeper.Started})
	}
	s.end(9)
	fx := s.expect(keeper.Report, keeper.Over)
	require.Equal(t, 9, fx[1].Code, "the last child's exit code is passed on")
	require.Contains(t, fx[0].Report.Reason, "too often")

	r := rules
	r.Restart, r.Intensity = restart.Permanent, restart.Intensity{Restarts: 0, Window: time.Second}
	s = newStage(t, r)
	s.end(0)
	require.Equal(t, 1, s.expect(keeper.Report, keeper.Over)[1].Code, "to give up is no success")
}

func TestAtOnce(t *testing.T) {
	s := newStage(t, rules)
	s.end(70)
	fx := s.expect(keeper.Report, keeper.Start)
	require.Zero(t, fx[0].Report.In)
	require.Equal(t, 1, fx[0].Report.Count, "it counts nevertheless")
}

func TestCannotBeStarted(t *testing.T) {
	k := keeper.New(rules)
	k.Step(0, keeper.Event{What: keeper.Begin})
	fx := k.Step(0, keeper.Event{What: keeper.Ended, End: keeper.End{Code: 127, Failed: "no such file"}})
	require.Equal(t, keeper.Over, fx[1].Kind, "the first start must succeed")
	require.Equal(t, 127, fx[1].Code)

	s := newStage(t, rules)
	s.end(1)
	s.pass(time.Second, nil)
	s.expect(keeper.Report, keeper.Start)
	s.step(keeper.Event{What: keeper.Ended, End: keeper.End{Code: 127, Failed: "too many processes"}, Random: 0.5})
	require.True(t, s.expect(keeper.Report)[0].Report.Again, "a later one may fail")
}

func TestFrozen(t *testing.T) {
	s := newStage(t, rules)
	s.pass(time.Minute, nil)
	s.expect()
	s.seen.Stand = keeper.Stands
	s.pass(4900*ms, nil)
	s.expect()
	s.seen.Stand = keeper.Runs // it was thawed in time
	s.pass(time.Second, nil)
	s.seen.Stand = keeper.Stands
	s.pass(5500*ms, nil)
	fx := s.expect(keeper.Judge, keeper.Kill)
	y := fx[0].Why
	require.Equal(t, "FROZEN", y.Verdict)
	require.GreaterOrEqual(t, y.Values["stopped"], int64(5000))
	require.LessOrEqual(t, y.Values["stopped"], int64(5500))
	s.pass(time.Hour, nil)
	s.expect()
	s.end(137)
	require.True(t, s.expect(keeper.Report)[0].Report.Again)
}

func TestStuck(t *testing.T) {
	s := newStage(t, rules)
	s.pass(time.Hour, nil)
	s.expect()
	beats := func(now time.Duration) { s.seen.Beats = 1 + uint64(now/time.Second) }
	s.pass(time.Hour, beats)
	s.expect()
	s.pass(13900*ms, nil) // the last pulse came up to a second before
	s.expect()
	s.pass(1700*ms, nil)
	y := s.expect(keeper.Judge, keeper.Abort)[0].Why
	require.Equal(t, "STUCK", y.Verdict)
	require.GreaterOrEqual(t, y.Values["no_pulse"], int64(15000))
	require.LessOrEqual(t, y.Values["no_pulse"], int64(16500))
	s.pass(300*ms, nil)
	s.expect()
	s.pass(1700*ms, nil)
	s.expect(keeper.Kill)
}

func TestOneThatSaysSoItself(t *testing.T) {
	s := newStage(t, rules)
	s.seen.Gives = true
	s.pass(time.Second, nil)
	require.Equal(t, "word", s.expect(keeper.Judge, keeper.Abort)[0].Why.Detector)
}

func TestWhoIsNotJudged(t *testing.T) {
	for name, sight := range map[string]keeper.Sight{
		"has never given a pulse": {},
		"is about to end":         {Beats: 7, Stopping: true},
		"is held by a debugger":   {Beats: 7, Stand: keeper.Traced},
		"has asked for longer":    {Beats: 7, Asked: 3 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, rules)
			s.seen = sight
			s.pass(2*time.Hour, nil)
			s.expect()
		})
	}
	t.Run("may stand still", func(t *testing.T) {
		r := rules
		r.Frozen = 0
		s := newStage(t, r)
		s.seen = keeper.Sight{Beats: 7, Stand: keeper.Stands}
		s.pass(2*time.Hour, nil)
		s.expect()
	})
	t.Run("asks for less", func(t *testing.T) {
		s := newStage(t, rules)
		s.seen = keeper.Sight{Beats: 7, Asked: time.Second}
		s.pass(14*time.Second, nil)
		s.expect()
	})
}

// TestLateKeeper: what a keeper saw while it was itself late counts for nothing.
func TestLateKeeper(t *testing.T) {
	s := newStage(t, rules)
	s.seen = keeper.Sight{Beats: 1}
	s.pass(10*time.Second, nil)
	s.now += time.Hour // the host was suspended
	s.step(keeper.Event{What: keeper.Tick})
	s.expect()
	s.seen.Beats++
	s.pass(14*time.Second, nil)
	s.expect()
}

func TestOrders(t *testing.T) {
	s := newStage(t, rules)
	order := keeper.Event{What: keeper.Order}
	s.step(order)
	s.expect(keeper.Pass)
	s.pass(time.Hour, nil)
	s.expect()
	s.step(order)
	s.expect(keeper.Pass)
	s.pass(1999*ms, nil)
	s.expect()
	s.pass(ms, nil)
	s.expect(keeper.Kill)
	s.step(order)
	s.expect(keeper.Kill)
	s.end(137)
	fx := s.expect(keeper.Report, keeper.Over)
	require.Equal(t, 137, fx[1].Code)
	require.Contains(t, fx[0].Report.Reason, "told")

	s = newStage(t, rules)
	s.end(1)
	s.step(order)
	require.Zero(t, s.expect(keeper.Report, keeper.Over)[1].Code, "there is no child to wait for")

	s = newStage(t, rules) // one that stands still when it is told to end
	s.step(order)
	s.seen.Stand = keeper.Stands
	s.pass(6*time.Second, nil)
	s.expect(keeper.Pass, keeper.Judge, keeper.Kill)
	s.end(137)
	s.expect(keeper.Report, keeper.Over)

	s = newStage(t, rules) // one that is being ended already
	s.seen.Stand = keeper.Stands
	s.pass(6*time.Second, nil)
	s.step(order)
	s.expect(keeper.Judge, keeper.Kill)
	s.end(137)
	s.expect(keeper.Report, keeper.Over)
}

func TestRulesThatMakeNoSense(t *testing.T) {
	for text, r := range map[string]keeper.Rules{
		"Restart":   {Restart: 7},
		"Intensity": {Intensity: restart.Intensity{Restarts: -1, Window: time.Second}},
		"Backoff":   {Backoff: restart.Backoff{Min: -1}},
		"Frozen":    {Frozen: -1},
	} {
		require.ErrorContains(t, r.Validate(), text)
	}
}

// TestModel: whatever happens, there is one child at most, none is signalled that is not there, and one that is over stays so.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rules
		r.Restart = restart.Type(rapid.IntRange(0, 2).Draw(t, "restart"))
		s := newStage(t, r)
		alive, over := true, false
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				if alive {
					alive = false
					s.end(rapid.SampledFrom([]int{0, 1, 2, 70, 137}).Draw(t, "code"))
				}
			case 1:
				s.step(keeper.Event{What: keeper.Order})
			case 2:
				s.seen.Stand = keeper.Stand(rapid.IntRange(0, 2).Draw(t, "stand"))
			case 3:
				s.seen.Beats++
			default:
				s.pass(time.Duration(rapid.IntRange(1, 30000).Draw(t, "ms"))*ms, nil)
			}
			for _, f := range s.all {
				require.False(t, over, "nothing follows the end")
				switch f.Kind {
				case keeper.Start:
					require.False(t, alive)
					alive = true
				case keeper.Pass, keeper.Abort, keeper.Kill, keeper.Judge:
					require.True(t, alive)
				case keeper.Over:
					require.False(t, alive)
					over = true
				case keeper.Look, keeper.Report:
				}
			}
			if s.all != nil && alive && s.k.State() == keeper.Opening {
				s.all = nil
				s.step(keeper.Event{What: keeper.Started})
			}
			s.all = nil
			require.Equal(t, over, s.k.State() == keeper.Done)
			if s.k.State() == keeper.Waiting || s.k.State() == keeper.Up {
				require.NotZero(t, s.k.Deadline())
			}
		}
	})
}
