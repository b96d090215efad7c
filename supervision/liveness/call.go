package liveness

import "time"

// Call is the machine of one thread of a peer, and of the call that it runs. Where many calls pass, the host sets Began and Sign itself, in place of a
// step for each message, and lets the judge alone step.
type Call struct {
	Began  Stamp  // the running call's turn came
	Sign   Stamp  // the thread gave its last sign: it began, reported progress, sent a part or an answer
	Lease  uint32 // ms that this call may give no sign, where it has asked for more than the judge's limit; 0: it has not
	Budget uint32 // ms that it may run before it is slow; 0: as long as it likes
	told   Verdict
	at     Stamp // of Sign when Stuck was told
}

// Begin notes that the thread begins a call, with this budget (0: none). What was said of the one before does not count.
func (c *Call) Begin(now, budget time.Duration) {
	*c = Call{Began: StampOf(now), Sign: StampOf(now), Budget: msOf(budget)}
}

// Renew notes a sign of the thread: a reply, a part, a report of progress.
func (c *Call) Renew(now time.Duration) { c.Sign = StampOf(now) }

// Declare asks for a lease for the running call, which is a sign as well. A lease is lengthened, never shortened.
func (c *Call) Declare(now, lease time.Duration) {
	c.Lease = max(c.Lease, msOf(lease))
	c.Renew(now)
}

// Answer ends the call: with an error, that is a verdict. After it the host judges the thread no more before it begins another one.
func (c *Call) Answer(now time.Duration, failed bool, fx []Effect) []Effect {
	fx = c.recover(now, fx)
	if failed {
		fx = append(fx, Effect{Kind: Tell, Verdict: SaidError, Measured: c.Began.Ago(now)})
	}
	c.told, c.Lease, c.Budget = Healthy, 0, 0
	return fx
}

// Ran lets the judge look at the thread while it runs a call. Evidence counts from since on; limit is how long a call may give no sign that has not asked
// for more, 0: for ever. Each verdict is told once; STUCK once for each time that the thread falls silent.
func (c *Call) Ran(now, since, limit time.Duration, fx []Effect) []Effect {
	if c.told == Stuck {
		if c.Sign == c.at {
			return fx
		}
		fx = c.recover(now, fx)
	}
	limit = c.limit(limit)
	silent := min(c.Sign.Ago(now), now-since)
	if limit > 0 && silent >= limit {
		c.told, c.at = Stuck, c.Sign
		return append(fx, Effect{Kind: Tell, Verdict: Stuck, Measured: silent, Limit: limit})
	}
	ran, budget := min(c.Began.Ago(now), now-since), time.Duration(c.Budget)*time.Millisecond
	if budget > 0 && ran >= budget {
		c.Budget = 0
		return append(fx, Effect{Kind: Tell, Verdict: Slow, Measured: ran, Limit: budget})
	}
	return fx
}

// recover takes STUCK back when there is a sign after all.
func (c *Call) recover(now time.Duration, fx []Effect) []Effect {
	if c.told != Stuck {
		return fx
	}
	c.told = Healthy
	return append(fx, Effect{Kind: Tell, Verdict: Healthy, Measured: c.at.Ago(now)})
}

// limit returns how long the call may give no sign.
func (c *Call) limit(judges time.Duration) time.Duration {
	if judges == 0 {
		return 0
	}
	return max(judges, time.Duration(c.Lease)*time.Millisecond)
}

// Told returns the verdict that stands, Healthy if there is none.
func (c *Call) Told() Verdict { return c.told }

// Due returns when the call becomes stuck if there is no sign, 0 for never.
func (c *Call) Due(now, since, limit time.Duration) time.Duration {
	if limit = c.limit(limit); limit == 0 || c.told == Stuck {
		return 0
	}
	return max(now-c.Sign.Ago(now), since) + limit
}

func msOf(d time.Duration) uint32 { return uint32(min(max(d/time.Millisecond, 0), 1<<32-1)) }
