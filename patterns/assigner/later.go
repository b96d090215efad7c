package assigner

import (
	"context"
	"errors"
)

// DoLater is DoAt for callers that do not wait: what came of the call is given to done, once. Done runs on the client's loop or on a goroutine of its own, never
// within DoLater, and must not block. The request's bytes are not to be changed before.
func (c *Client) DoLater(ctx context.Context, r OpenRequest, call Request, done func(Answer, error)) {
	if c.fleet != nil || c.heirs.going.Load() != nil || !c.up.there() || ctx.Err() != nil {
		go func() { done(c.DoAt(ctx, r, call)) }()
		return
	}
	frames := call.frames()
	h, options, err := r.single(&call)
	if err == nil {
		err = c.up.tooLarge(frames)
	}
	if err != nil {
		go done(Answer{}, c.up.name(err, r.Service, 0))
		return
	}
	l := &later{client: c, ctx: ctx, request: r, call: call, tell: done}
	l.service, l.oneshot, l.progress, l.ref = r.Service, true, call.Progress, c.up.refs.Add(1)
	l.done = l.answered
	h.Arg, h.Hit = deadline(ctx), l.ref
	if ctx.Done() != nil {
		l.keep = context.AfterFunc(ctx, l.giveUp)
	}
	all := append(append(make([][]byte, 0, 2+len(frames)), []byte(r.Service), options), frames...)
	if err := c.up.ask(&l.pending, l.ref, &h, all...); err != nil {
		go l.refused(err)
	} else if ctx.Err() != nil {
		c.up.withdraw(ctx, &l.pending) // it may have been given up before it was sent
	}
}

// later is a one-shot that nobody waits for.
type later struct {
	pending
	client  *Client
	ctx     context.Context
	request OpenRequest
	call    Request
	tell    func(Answer, error)
	keep    func() bool // has the end of the context do nothing any more; nil where it has none
}

// answered takes the answer. One that another broker may have, or a later moment, is asked for again.
func (l *later) answered(a answer) {
	if l.keep != nil {
		l.keep()
	}
	if slotTaken(a.err) || errors.Is(a.err, ErrDraining) {
		go func() { l.tell(l.client.DoAt(l.ctx, l.request, l.call)) }()
		return
	}
	l.tell(l.request.answer(a, l.client.up.name(a.err, l.request.Service, 0)))
}

// refused tells of what was not sent.
func (l *later) refused(err error) {
	if l.settled.CompareAndSwap(false, true) {
		l.answered(answer{err: err})
	}
}

// giveUp ends the wait with the context.
func (l *later) giveUp() {
	if !l.settled.CompareAndSwap(false, true) {
		return
	}
	u := l.client.up
	err := u.givenUp(l.ctx, &l.pending, func() { u.withdraw(l.ctx, &l.pending) })
	l.tell(Answer{}, u.name(err, l.request.Service, 0))
}
