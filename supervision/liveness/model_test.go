package liveness_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-mq/troupe/supervision/liveness"
)

// scene is a peer that beats over a link, and a host that judges it, in virtual time. The host's kernel takes in what arrives, whether the host runs
// or not; the transport's heartbeat is an answer to the host's own, so that nothing comes while the host stands still.
type scene struct {
	limit, beat time.Duration
	beats       []time.Duration // when beats arrive, in order
	pauses      [][2]time.Duration
	sounds      bool // the host measures the transport; else it reads messages
	judge       liveness.Judge
	peer        liveness.Peer
	read        int // beats that were read
}

// span draws a time.
func span(t *rapid.T, from, to time.Duration, label string) time.Duration {
	return time.Duration(rapid.Int64Range(int64(from/ms), int64(to/ms)).Draw(t, label)) * ms
}

const horizon = time.Minute

func drawScene(t *rapid.T) *scene {
	s := &scene{limit: span(t, 500*ms, 5*time.Second, "limit"), sounds: rapid.Bool().Draw(t, "sounds")}
	s.beat = s.limit / 4
	s.judge, s.peer = liveness.NewJudge(s.limit), liveness.Peer{Silence: s.limit}
	for now := time.Duration(0); len(s.pauses) < 4 && rapid.Bool().Draw(t, "the judge pauses"); {
		from := now + span(t, ms, 10*time.Second, "after")
		to := from + span(t, ms, 3*s.limit, "for")
		s.pauses, now = append(s.pauses, [2]time.Duration{from, to}), to
	}
	var silent [][2]time.Duration // the peer stands still, or the link is cut
	for now := time.Duration(0); len(silent) < 3 && rapid.Bool().Draw(t, "the peer pauses"); {
		from := now + span(t, ms, 10*time.Second, "after")
		to := from + span(t, ms, 3*s.limit, "for")
		silent, now = append(silent, [2]time.Duration{from, to}), to
	}
	last := time.Duration(0)
	for sent := time.Duration(0); sent < horizon; sent += s.beat {
		if within(silent, sent) || within(s.pauses, sent) || rapid.IntRange(0, 19).Draw(t, "lost") == 0 {
			continue
		}
		last = max(last, sent+span(t, 0, s.limit/8, "delay"))
		s.beats = append(s.beats, last)
	}
	return s
}

func within(spans [][2]time.Duration, at time.Duration) bool {
	for _, x := range spans {
		if at >= x[0] && at < x[1] {
			return true
		}
	}
	return false
}

// resume returns when the host, due at a time, really runs.
func (s *scene) resume(at time.Duration) time.Duration {
	for _, x := range s.pauses {
		if at >= x[0] && at < x[1] {
			return x[1]
		}
	}
	return at
}

// next returns when the host wants to run: by the judge's pulse, when the peer is due, or when there is something to read.
func (s *scene) next(now time.Duration) time.Duration {
	next := s.judge.Deadline()
	if at := s.peer.Deadline(); at > now {
		next = min(next, at)
	}
	if !s.sounds && s.read < len(s.beats) {
		next = min(next, max(s.beats[s.read], now+ms))
	}
	return next
}

// arrived returns when the last beat up to now arrived.
func (s *scene) arrived(now time.Duration) time.Duration {
	last := time.Duration(0)
	for _, at := range s.beats {
		if at <= now {
			last = at
		}
	}
	return last
}

// drain reads all beats that wait.
func (s *scene) drain(now time.Duration, fx []liveness.Effect) []liveness.Effect {
	for ; !s.sounds && s.read < len(s.beats) && s.beats[s.read] <= now; s.read++ {
		fx = s.peer.Step(now, liveness.Event{What: liveness.BeatGot}, fx)
	}
	return fx
}

// run lets the judge run once, as hosts do: sockets first. It returns the verdicts.
func (s *scene) run(now time.Duration) (told []liveness.Effect) {
	fx := s.drain(now, nil)
	if now >= s.judge.Deadline() {
		s.judge.Ran(now)
	}
	fx = s.peer.Step(now, liveness.Event{What: liveness.Ran, Since: s.judge.Since()}, fx)
	for i := 0; i < len(fx); i++ {
		switch fx[i].Kind {
		case liveness.Look:
			e := liveness.Event{What: liveness.Sounded, Since: s.judge.Since(), Known: true, Silent: now - s.arrived(now)}
			if !s.sounds {
				fx = s.drain(now, fx)
				e.Silent = now - s.peer.Heard()
			}
			fx = s.peer.Step(now, e, fx)
		case liveness.Tell:
			told = append(told, fx[i])
		default: // beats: the model has none to send
		}
	}
	return told
}

// paused reports whether the host stood still, for longer than this, between two times.
func (s *scene) paused(from, to, longer time.Duration) bool {
	for _, x := range s.pauses {
		if x[0] < to && x[1] > from && x[1]-x[0] > longer {
			return true
		}
	}
	return false
}

// TestModel: FROZEN is never given while beats arrive within the limit, nor on what was not heard while the judge stood still, and always within the
// limit and a tenth of it when they stop.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawScene(t)
		s.peer.Step(0, liveness.Event{What: liveness.Met}, nil)
		for now := time.Duration(0); now < horizon; now = s.resume(s.next(now)) {
			was := s.peer.State()
			for _, f := range s.run(now) {
				if f.Verdict != liveness.Frozen {
					require.Equal(t, liveness.Healthy, f.Verdict)
					continue
				}
				silent := now - s.arrived(now)
				require.GreaterOrEqual(t, silent, s.limit, "a beat arrived %v ago, at %v", silent, now)
				require.False(t, s.paused(now-s.limit, now, s.judge.Bound+s.judge.Every), "the judge stood still less than %v before %v", s.limit, now)
				require.GreaterOrEqual(t, f.Measured, s.limit)
				require.LessOrEqual(t, f.Measured, s.limit+s.limit/10)
			}
			if was == liveness.Stopped || s.peer.State() == liveness.Stopped {
				continue
			}
			late := s.limit + s.limit/10
			silent := now - s.arrived(now)
			require.False(t, silent > late && !s.paused(now-late-s.judge.Every, now, s.judge.Bound), "no verdict at %v, after a silence of %v", now, silent)
		}
	})
}

// TestModelOfCalls: STUCK is given once for each silence longer than the lease that the judge was there to see, and for no other.
func TestModelOfCalls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := span(t, 500*ms, 5*time.Second, "limit")
		judge, c := liveness.NewJudge(limit), liveness.Call{}
		judge.Every = limit / 24
		c.Begin(0, 0)
		signs := []time.Duration{0}
		for len(signs) < 10 {
			signs = append(signs, signs[len(signs)-1]+span(t, ms, 2*limit, "until the next sign"))
		}
		pause := [2]time.Duration{span(t, 0, 10*limit, "the judge pauses at"), 0}
		pause[1] = pause[0] + span(t, 0, 2*limit, "for")
		next, stuck := 1, 0
		for now := time.Duration(0); next < len(signs); {
			for next < len(signs) && signs[next] <= now { // drained first
				c.Renew(signs[next])
				next, stuck = next+1, 0
			}
			judge.Ran(now)
			for _, f := range c.Ran(now, judge.Since(), limit, nil) {
				if f.Verdict == liveness.Stuck {
					stuck++
					require.GreaterOrEqual(t, now-signs[next-1], limit)
					require.False(t, pause[1]-pause[0] > judge.Bound+judge.Every && pause[0] < now && pause[1] > now-limit, "judged on a pause")
				}
			}
			require.LessOrEqual(t, stuck, 1)
			late := limit + limit/10
			stoodStill := pause[1]-pause[0] > judge.Bound && pause[0] <= now && pause[1] > now-late-judge.Every
			seen := now-signs[next-1] > late && !stoodStill
			require.False(t, seen && stuck == 0, "no verdict at %v, %v after the last sign", now, now-signs[next-1])
			if now = judge.Deadline(); now >= pause[0] && now < pause[1] {
				now = pause[1]
			}
		}
	})
}
