package liveness

import "time"

// Judge is the pulse of a host that gives verdicts. It wants to run every so often; when it runs late beyond a bound, the host itself stood still: it was
// stopped, suspended or starved. What peers said meanwhile was not heard, and what they answer to was not sent, so that all counts start again.
type Judge struct {
	Every time.Duration // how often it wants to run
	Bound time.Duration // how late it may be

	due     time.Duration // 0: it has not run yet
	since   time.Duration
	worst   time.Duration
	starved uint64
}

// NewJudge returns a judge for limits of which this is the shortest: it runs four times within it, from every 5 ms to every second, and may be late by a
// tenth of it, but at least by 50 ms. So it misses no pause of its host that is longer than about a third of the limit, which is less than what is left when
// a peer gives a sign twice within it. Hosts run more often where a deadline of a Peer or a Call is nearer: to wake up a process that has nothing to do
// costs more than what the judge does then.
func NewJudge(shortest time.Duration) Judge {
	return Judge{Every: min(max(shortest/4, 5*time.Millisecond), time.Second), Bound: max(shortest/10, 50*time.Millisecond)}
}

// Deadline says when the judge wants to run, 0 for at once.
func (j *Judge) Deadline() time.Duration { return j.due }

// Ran notes that the judge runs now, after the host has read all that had come, and returns how late it is. Late beyond the bound, all counts start now.
func (j *Judge) Ran(now time.Duration) time.Duration {
	late := time.Duration(0)
	if j.due > 0 {
		late = max(now-j.due, 0)
	}
	j.worst = max(j.worst, late)
	if late > j.Bound && j.Bound > 0 {
		j.starved++
		j.since = now
	}
	j.due = now + j.Every
	return late
}

// Rest notes that there is nobody to judge: the time until the next run is no delay.
func (j *Judge) Rest() { j.due = 0 }

// Since returns from when on evidence counts.
func (j *Judge) Since() time.Duration { return j.since }

// Starved returns how often the host stood still, and how late the judge has been at worst.
func (j *Judge) Starved() (times uint64, worst time.Duration) { return j.starved, j.worst }
