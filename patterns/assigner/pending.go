package assigner

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// Progress is what a call's thread says about itself while it works.
type Progress struct {
	Done float64 // from 0 to 1
	Note string
}

// answer is what a call or an open came to.
type answer struct {
	frames [][]byte
	in     *inflow // the rest of a reply that comes in parts
	hit    *Hit
	member uint32 // that served a single call, 0: none
	err    error
}

// pending is a call, an open or an admin request that waits for its answer.
type pending struct {
	seq        uint32
	ref        uint64
	service    string
	oneshot    bool // an open that carries its call
	resume     time.Duration
	frames     [][]byte  // of a call that may have to be sent again
	deadline   time.Time // of the same; zero: none
	idempotent bool      // the same
	unsent     bool      // given up before it was handed to a connection
	progress   func(Progress)
	out        *outflow // its body, where that is sent in parts
	settled    atomic.Bool
	doomed     *Error       // the refusal of an earlier call, because of which this one will be refused, too; the hit's
	got        chan answer  // one place: settling never blocks
	done       func(answer) // takes the answer in place of got; nil: got does. It must not block
}

func newPending(progress func(Progress)) *pending {
	return &pending{progress: progress, got: make(chan answer, 1)}
}

// settle answers p once; later answers are dropped. It reports whether this was the first.
func (u *uplink) settle(p *pending, a answer) bool {
	if !p.settled.CompareAndSwap(false, true) {
		return false
	}
	u.deliver(p, a)
	return true
}

// deliver hands the answer to who waits. The caller has set p.settled.
func (u *uplink) deliver(p *pending, a answer) {
	u.underway.Add(-1)
	if p.out != nil && a.in == nil {
		p.out.stop(errOver)
	}
	if p.done != nil {
		p.done(a)
	} else {
		p.got <- a
	}
}

// await waits for the answer. When ctx ends first, giveUp runs and the outcome is unknown.
func (u *uplink) await(ctx context.Context, p *pending, giveUp func()) (answer, error) {
	select {
	case a := <-p.got:
		return a, a.err
	case <-ctx.Done():
	}
	if !p.settled.CompareAndSwap(false, true) {
		a := <-p.got
		return a, a.err
	}
	return answer{}, u.givenUp(ctx, p, giveUp)
}

// givenUp gives up what nobody waits for any more. The caller has set p.settled.
func (u *uplink) givenUp(ctx context.Context, p *pending, giveUp func()) *Error {
	u.underway.Add(-1)
	giveUp()
	e := ctxError(ctx)
	if e.Outcome = p.outcome(); p.unsent {
		e.Text = "the caller gave up while the connection to the broker was lost; the call was never sent: allow more time"
	} else if e.Outcome == NeverStarted {
		e.Text = "the caller gave up before there was a slot; the open was cancelled: allow more time"
	}
	return e
}

// outcome is what becomes of p when nobody waits for its answer: an open that carries no call has run nothing.
func (p *pending) outcome() Outcome {
	if p.unsent || p.service != "" && !p.oneshot {
		return NeverStarted
	}
	return Unknown
}

// unstarted refuses what is asked for with a context that has ended.
func unstarted(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	e := ctxError(ctx)
	e.Outcome, e.Text = NeverStarted, "the context had ended before the call was made"
	return e
}

// ctxError is what a caller gets whose context ended: the call was cancelled at the broker, and may have run.
func ctxError(ctx context.Context) *Error {
	e := &Error{Status: wire.Cancelled, Outcome: Unknown, Text: "the caller gave up; the call was cancelled, and may have run", cause: ctx.Err()}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		e.Status, e.Text = wire.Expired, "no answer came before the deadline; the call was cancelled, and may have run: allow more time"
	}
	return e
}

// forget gives up an open: the broker is asked to cancel it, and a hit that is opened all the same is closed.
func (u *uplink) forget(p *pending) {
	_ = u.link.ep.Sender().Send(&wire.Header{Type: wire.Close, Flags: wire.Ref, Hit: p.ref})
}

// withdraw is forget, but for tasks that go on without the caller.
func (u *uplink) withdraw(ctx context.Context, p *pending) {
	if !errors.Is(context.Cause(ctx), ErrLeave) {
		u.forget(p)
	}
}

func (u *uplink) gone(o Outcome) *Error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return &Error{Status: wire.BrokerGone, Outcome: o, Text: "the connection to the broker is lost (" + u.reason + "): open another hit", Why: u.why}
}
