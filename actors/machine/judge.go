package machine

import (
	"time"

	"github.com/troupe-mq/troupe/supervision/liveness"
	"github.com/troupe-mq/troupe/supervision/why"
)

// The broker's judge runs on its own pulse, not with the messages: these leave stamps only. It looks at connections when they are due, at calls a
// few times within the shortest lease.

// beginJudging sets the judge up.
func (b *Broker) beginJudging() {
	b.limits.store = why.NewStore(maxWhys)
	if !b.cfg.Judges {
		return
	}
	b.limits.judges = b.cfg.Stuck > 0
	shortest := b.cfg.Silence
	if b.cfg.Stuck > 0 && (shortest == 0 || b.cfg.Stuck < shortest) {
		shortest = b.cfg.Stuck
	}
	if shortest > 0 {
		b.judge = liveness.NewJudge(shortest)
		b.glances = b.cfg.Stuck / 24
	}
}

// nextJudging returns when the judge wants to run, 0 for never: nobody is there to be judged. Between its pulses it looks only at connections that were
// silent when they were looked at last, and at calls while there are any.
func (b *Broker) nextJudging() time.Duration {
	if b.judge.Every == 0 || b.lines.Len() == 0 && len(b.limits.running) == 0 {
		return 0
	}
	at := max(b.judge.Deadline(), 1)
	if b.lines.Len() > 0 {
		at = min(at, b.lines.First().at)
	}
	if len(b.limits.running) > 0 {
		at = min(at, b.glanced+b.glances)
	}
	return max(at, 1)
}

// runJudge runs the judge if it is due.
func (b *Broker) runJudge(now time.Duration, fx []Effect) []Effect {
	at := b.nextJudging()
	if at == 0 || now < at {
		return fx
	}
	ahead := now
	if now >= b.judge.Deadline() {
		b.judge.Ran(now)
		ahead = b.judge.Deadline()
	}
	fx = b.judgeLines(now, ahead, fx)
	if len(b.limits.running) > 0 && now >= b.glanced+b.glances {
		b.glanced = now
		fx = b.judgeCalls(now, fx)
	}
	return fx
}
