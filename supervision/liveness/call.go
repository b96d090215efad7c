package liveness

import "time"

// Call is the machine of one thread of a peer, and of the call that it runs. Where many calls pass, the host notes their turns and their signs, which
// costs a few stores and no step for each message, and lets the judge alone step. It has 16 bytes, since a broker holds one per hit.
type Call struct {
	Began  Stamp  // the running call's turn came
	Sign   Stamp  // the thread gave its last sign: it began, reported progress, sent a part or an answer
	lease  uint32 // ms that this call may give no sign, where it has asked for more than the judge's limit; with stuckBit while STUCK stands
	budget uint32 // ms that it may run before it is slow, 0: as long as it likes; while STUCK stands, Sign as of then
}

// stuckBit is above any lease: 24 days.
const stuckBit = 1 << 31

// Begin notes that a thread begins its first call, with this budget (0: none).
func (c *Call) Begin(now, budget time.Duration) {
	*c = Call{Began: StampOf(now), Sign: StampOf(now), budget: msOf(budget)}
}

// Turn notes that the turn of another call has come. STUCK, where it stands, is left for the judge to take back.
func (c *Call) Turn(at Stamp, budgetMS uint32) {
	c.Began = at
	if c.lease&stuckBit == 0 {
		c.lease, c.budget = 0, budgetMS
	}
}

// Renew notes a sign of the thread: a reply, a part, a report of progress.
func (c *Call) Renew(now time.Duration) { c.Sign = StampOf(now) }

// Declare asks for a lease for the running call, which is a sign as well. A lease is lengthened, never shortened.
func (c *Call) Declare(now, lease time.Duration) {
	c.lease = max(c.lease&^stuckBit, min(msOf(lease), stuckBit-1)) | c.lease&stuckBit
	c.Renew(now)
}

// Answer ends the call: with an error, that is a verdict. After it the host judges the thread no more before it begins another one.
func (c *Call) Answer(now time.Duration, failed bool, fx []Effect) []Effect {
	fx = c.recover(now, fx)
	if failed {
		fx = append(fx, Effect{Kind: Tell, Verdict: SaidError, Measured: c.Began.Ago(now)})
	}
	c.lease, c.budget = 0, 0
	return fx
}

// Ran lets the judge look at the thread while it runs a call. Evidence counts from since on; limit is how long a call may give no sign that has not asked
// for more, 0: for ever. Each verdict is told once; STUCK once for each time that the thread falls silent.
func (c *Call) Ran(now, since, limit time.Duration, fx []Effect) []Effect {
	if c.lease&stuckBit != 0 {
		if c.Sign == Stamp(c.budget) {
			return fx
		}
		fx = c.recover(now, fx)
	}
	limit = c.limit(limit)
	silent := min(c.Sign.Ago(now), c.Began.Ago(now), now-since)
	if limit > 0 && silent >= limit {
		c.lease, c.budget = c.lease|stuckBit, uint32(c.Sign)
		return append(fx, Effect{Kind: Tell, Verdict: Stuck, Measured: silent, Limit: limit})
	}
	ran, budget := min(c.Began.Ago(now), now-since), time.Duration(c.budget)*time.Millisecond
	if budget > 0 && ran >= budget {
		c.budget = 0
		return append(fx, Effect{Kind: Tell, Verdict: Slow, Measured: ran, Limit: budget})
	}
	return fx
}

// recover takes STUCK back when there is a sign after all.
func (c *Call) recover(now time.Duration, fx []Effect) []Effect {
	if c.lease&stuckBit == 0 {
		return fx
	}
	was := Stamp(c.budget)
	c.lease, c.budget = c.lease&^stuckBit, 0
	if int32(c.Began-was) > 0 {
		c.lease = 0 // that call is over
	}
	return append(fx, Effect{Kind: Tell, Verdict: Healthy, Measured: was.Ago(now)})
}

// limit returns how long the call may give no sign.
func (c *Call) limit(judges time.Duration) time.Duration {
	if judges == 0 {
		return 0
	}
	return max(judges, time.Duration(c.lease&^stuckBit)*time.Millisecond)
}

// Told returns the verdict that stands: Stuck, or Healthy if there is none.
func (c *Call) Told() Verdict {
	if c.lease&stuckBit != 0 {
		return Stuck
	}
	return Healthy
}

// Due returns when the call becomes stuck if there is no sign, 0 for never.
func (c *Call) Due(now, since, limit time.Duration) time.Duration {
	if limit = c.limit(limit); limit == 0 || c.Told() == Stuck {
		return 0
	}
	return max(now-min(c.Sign.Ago(now), c.Began.Ago(now)), since) + limit
}

func msOf(d time.Duration) uint32 { return uint32(min(max(d/time.Millisecond, 0), 1<<32-1)) }
