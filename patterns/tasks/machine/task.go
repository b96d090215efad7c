package machine

import "time"

// Retry says how often, and when, a task that has failed is run again. The zero Retry never does.
type Retry struct {
	Most      int           // how many times again
	Base, Max time.Duration // of the back-off: a random time up to Base, 2*Base, 4*Base, ... and at most Max (full jitter; AWS Architecture Blog, 2015)
}

// Verdict is what an attempt came to.
type Verdict uint8

// The verdicts of attempts.
const (
	Answered Verdict = iota
	Final            // it has failed, and would again
	Failed           // it has failed, and may be run again
	Crowded          // it was refused for want of room: it is submitted again, which counts as no attempt
	Alone            // nobody was left but those to be avoided: it is submitted again without avoiding anybody
)

// State is where a task stands.
type State uint8

// The states of a task.
const (
	Resting State = iota // until the back-off is over
	Running
	Over
)

// Effect is what the host has to do.
type Effect struct {
	Run    bool     // begin an attempt
	Avoid  []string // with Run: members that have failed it
	Settle bool     // the task is over: with what the last attempt came to, or, if Late, out of time, or cancelled
	Late   bool
	Stop   bool // stop the attempt under way, whose end is not waited for
}

// Task is the machine of one task.
type Task struct {
	retry    Retry
	pick     func(n int64) int64 // a random number below n
	until    time.Duration       // its deadline, 0 for none
	state    State
	at       time.Duration // when the next attempt begins
	failed   int           // attempts
	crowded  int           // refusals in a row
	avoid    []string
	everyone bool // nobody is avoided any more
}

// maxAvoided bounds the selector of an attempt.
const maxAvoided = 16

// crowd is the back-off of what finds no room.
var crowd = Retry{Base: 5 * time.Millisecond, Max: 500 * time.Millisecond}

// New returns a task that begins at once. until is its deadline, 0 for none.
func New(retry Retry, until time.Duration, pick func(n int64) int64) *Task {
	return &Task{retry: retry, until: until, pick: pick}
}

// State returns where it stands.
func (t *Task) State() State { return t.state }

// Attempts returns how many attempts have failed.
func (t *Task) Attempts() int { return t.failed }

// Deadline says when Tick is to be called, 0 for never.
func (t *Task) Deadline() time.Duration {
	switch {
	case t.state == Over:
		return 0
	case t.state == Resting && (t.until == 0 || t.at < t.until):
		return max(t.at, 1)
	}
	return t.until
}

// Tick begins an attempt that is due, or ends a task that is out of time.
func (t *Task) Tick(now time.Duration) Effect {
	switch {
	case t.state == Over:
		return Effect{}
	case t.until > 0 && now >= t.until:
		was := t.state
		t.state = Over
		return Effect{Settle: true, Late: true, Stop: was == Running}
	case t.state == Resting && now >= t.at:
		t.state = Running
		e := Effect{Run: true}
		if !t.everyone {
			e.Avoid = t.avoid
		}
		return e
	}
	return Effect{}
}

// Ended takes the end of an attempt. member is who had it, empty if nobody had.
func (t *Task) Ended(now time.Duration, v Verdict, member string) Effect {
	if t.state != Running {
		return Effect{}
	}
	t.state = Resting
	switch v {
	case Crowded:
		t.at = now + t.backoff(crowd, t.crowded)
		t.crowded++
		return Effect{}
	case Alone:
		t.everyone, t.at = true, now
		return Effect{}
	case Failed:
		if t.failed < t.retry.Most {
			t.at = now + t.backoff(t.retry, t.failed)
			t.failed++
			t.crowded, t.everyone = 0, false
			t.shun(member)
			return Effect{}
		}
	case Answered, Final:
	}
	t.state = Over
	return Effect{Settle: true}
}

// Cancel ends the task.
func (t *Task) Cancel() Effect {
	if t.state == Over {
		return Effect{}
	}
	was := t.state
	t.state = Over
	return Effect{Settle: was == Resting, Stop: was == Running}
}

func (t *Task) shun(member string) {
	if member == "" {
		return
	}
	if len(t.avoid) == maxAvoided {
		t.avoid = t.avoid[1:]
	}
	t.avoid = append(t.avoid[:len(t.avoid):len(t.avoid)], member)
}

// backoff returns a random time of what doubles with n.
func (t *Task) backoff(r Retry, n int) time.Duration {
	most := r.Base
	for ; n > 0 && most < r.Max; n-- {
		most *= 2
	}
	if r.Max > 0 {
		most = min(most, r.Max)
	}
	if most <= 0 {
		return 0
	}
	return time.Duration(t.pick(int64(most) + 1))
}
