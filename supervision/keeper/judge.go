package keeper

import (
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/supervision/liveness"
	"github.com/troupe-mq/troupe/supervision/watch"
	"github.com/troupe-mq/troupe/supervision/why"
)

// looked judges a child by what was seen of it. What was seen while the keeper was late itself counts for nothing.
func (k *Keeper) looked(now time.Duration, e Event) []Effect {
	s, since := e.Seen, k.judge.Since()
	k.pulse.Limit = max(k.rules.Pulse, s.Asked) // longer, never shorter
	still, stood := k.stands.Look(now, since, s.Stand == Stands && k.rules.Frozen > 0, 1)
	beats := s.Beats > 0 && !s.Stopping && s.Stand == Runs && k.rules.Pulse > 0
	quiet, mute := k.pulse.Look(now, since, beats, s.Beats)
	switch {
	case s.Gives && s.Stand == Runs && k.rules.Pulse > 0:
		return k.stuck(now, k.record(now, liveness.Stuck, "word", "the child has said that it cannot go on (WATCHDOG=trigger)"))
	case still == watch.Stuck:
		y := k.record(now, liveness.Frozen, "process state", fmt.Sprintf("all of the child has been stopped for %v, the limit is %v", stood.Round(time.Millisecond), k.rules.Frozen))
		y.Measure("stopped", stood, k.rules.Frozen)
		y.Done, y.Knob = "it is killed", "--frozen of the supervisor"
		return k.doom(0, y, Kill)
	case quiet == watch.Stuck:
		y := k.record(now, liveness.Stuck, "pulse", fmt.Sprintf("the child runs, and its loop has given no pulse for %v, the limit is %v", mute.Round(time.Millisecond), k.pulse.Limit))
		y.Measure("no_pulse", mute, k.pulse.Limit)
		return k.stuck(now, y)
	}
	return nil
}

func (k *Keeper) stuck(now time.Duration, y *why.Record) []Effect {
	y.Done = fmt.Sprintf("it is ended by SIGABRT, so that it can say where it is, and killed after %v", k.rules.Grace)
	y.Knob = "--pulse of the supervisor; the child may ask for longer by WATCHDOG_USEC"
	return k.doom(now+k.rules.Grace, y, Abort)
}

func (k *Keeper) doom(kill time.Duration, y *why.Record, by Kind) []Effect {
	k.state, k.at = Doomed, kill
	return []Effect{{Kind: Judge, Why: y}, {Kind: by}}
}

func (k *Keeper) record(now time.Duration, v liveness.Verdict, detector, measured string) *why.Record {
	return &why.Record{Verdict: v.String(), Detector: detector, Measured: measured, AgeMS: (now - k.began).Milliseconds(), AtMS: now.Milliseconds()}
}
