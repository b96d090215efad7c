package assigner

import (
	"context"
	"errors"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner/machine"
)

// trip is an OPEN of a client with several brokers, on its way to the one that has room. It is driven by the caller's goroutine.
type trip struct {
	fleet    *fleet
	attempt  *machine.Attempt
	request  OpenRequest
	head     wire.Header
	options  []byte
	body     [][]byte
	progress func(Progress)

	at   map[int]*pending // the OPEN under way at a broker
	got  chan arrival     // room for more than can be under way
	news chan struct{}
	last *Error // the last refusal
}

// arrival is an answer to one of a trip's OPENs.
type arrival struct {
	broker int
	p      *pending
	answer
}

// travel opens a hit, or carries a one-shot, at one of the brokers.
func (f *fleet) travel(ctx context.Context, r OpenRequest, h wire.Header, options []byte, body [][]byte, progress func(Progress)) (*uplink, answer, error) {
	if err := unstarted(ctx); err != nil {
		return nil, answer{}, err
	}
	t := &trip{
		fleet: f, request: r, head: h, options: options, body: body, progress: progress,
		at: make(map[int]*pending), got: make(chan arrival, 2*len(f.ups)+2), news: make(chan struct{}, 1),
	}
	f.mu.Lock()
	t.attempt = machine.NewAttempt(f.machine, h.Flags.Has(wire.First))
	f.trips[t] = struct{}{}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.trips, t)
		f.mu.Unlock()
	}()
	u, a, err := t.run(ctx)
	t.abandon()
	return u, a, err
}

// run does what the machine wants until the OPEN has come to something.
func (t *trip) run(ctx context.Context) (*uplink, answer, error) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	does := t.fleet.do(t.attempt.Start)
	for {
		if err := t.carryOut(ctx, does); err != nil {
			return nil, answer{}, err
		}
		if at := t.attempt.Deadline(); at > 0 {
			timer.Reset(max(at-t.fleet.now(), 0))
		} else {
			timer.Stop()
		}
		does = nil
		select {
		case x := <-t.got:
			if t.at[x.broker] != x.p {
				break // it was taken back; its uplink sees to that
			}
			delete(t.at, x.broker)
			err := t.refused(x.err)
			if x.err == nil || err != nil {
				return t.fleet.ups[x.broker], x.answer, err
			}
			does = t.fleet.do(func(now time.Duration) []machine.Do { return t.attempt.Refused(now, x.broker, t.last.Status) })
		case <-timer.C:
			does = t.fleet.do(t.attempt.Tick)
		case <-t.news:
			does = t.fleet.do(t.attempt.Tick)
		case <-t.fleet.ups[0].over:
			_, err := t.fleet.any()
			return nil, answer{}, err
		case <-ctx.Done():
			return nil, answer{}, t.outOfTime(ctx)
		}
	}
}

// refused notes a refusal that another broker may not share; others are returned.
func (t *trip) refused(err error) error {
	var e *Error
	if err == nil || !errors.As(err, &e) || e.Outcome != NeverStarted {
		return err
	}
	switch e.Status {
	case wire.QueueFull, wire.UnknownService, wire.Draining, wire.SlotTaken, wire.PeerSlow, wire.BrokerGone, wire.WorkerGone, wire.NotRegistered, wire.Expired:
		t.last = e
		return nil
	}
	return err
}

func (t *trip) carryOut(ctx context.Context, does []machine.Do) error {
	for _, d := range does {
		u := t.fleet.ups[d.Broker]
		switch d.What {
		case machine.SendOpen:
			if err := t.send(ctx, d.Broker, d.Now); err != nil {
				return err
			}
		case machine.CancelOpen:
			t.takeBack(d.Broker)
			u.awaited.Store(true)
		case machine.SendPing:
			u.awaited.Store(true)
			_ = u.link.ep.Sender().Send(&wire.Header{Type: wire.Ping})
		case machine.GiveUp:
			return t.last
		}
	}
	return nil
}

// send sends the OPEN to a broker.
func (t *trip) send(ctx context.Context, i int, now bool) error {
	u, h := t.fleet.ups[i], t.head
	p := newPending(t.progress)
	p.service, p.oneshot, p.resume = t.request.Service, h.Flags.Has(wire.First), t.request.Resume
	p.done = func(a answer) { t.got <- arrival{i, p, a} }
	if err := u.tooLarge(t.body); err != nil {
		return err
	}
	if now {
		h.Flags |= wire.Now
	}
	h.Arg, h.Hit = deadline(ctx), u.refs.Add(1)
	t.at[i] = p
	return u.ask(p, h.Hit, &h, append([][]byte{[]byte(t.request.Service), t.options}, t.body...)...)
}

// takeBack cancels the OPEN at a broker. A hit that is opened all the same is closed.
func (t *trip) takeBack(i int) {
	p, u := t.at[i], t.fleet.ups[i]
	if p == nil {
		return
	}
	delete(t.at, i)
	if p.settled.CompareAndSwap(false, true) {
		u.underway.Add(-1)
		u.forget(p)
		return
	}
	for { // its answer is on the way, or here
		x := <-t.got
		if x.p != p {
			if t.at[x.broker] == x.p {
				t.got <- x // it is another one's, and there is room
			}
			continue
		}
		if x.hit != nil {
			x.hit.giveBack()
		}
		return
	}
}

// abandon takes all back that is under way.
func (t *trip) abandon() {
	for i := range t.fleet.ups {
		t.takeBack(i)
	}
}

// outOfTime is the error of a caller whose context ended.
func (t *trip) outOfTime(ctx context.Context) *Error {
	for _, p := range t.at {
		e := ctxError(ctx)
		if e.Outcome = p.outcome(); e.Outcome == NeverStarted {
			e.Text = "the caller gave up before there was a slot; the open was cancelled: allow more time"
		}
		return e
	}
	if t.last != nil {
		e := *t.last
		e.cause = context.Cause(ctx)
		return &e
	}
	return t.fleet.unreached(ctx)
}

// giveBack closes a hit that nobody has been given.
func (h *Hit) giveBack() {
	_ = h.up.link.ep.Sender().SendOn(h.peer, &wire.Header{Type: wire.Close, Hit: h.handle, Epoch: h.epoch})
}
