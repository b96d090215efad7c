package assigner

import (
	"context"
	"errors"
	"strconv"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// Do opens a hit, makes one call and closes it, in one message each way.
func (c *Client) Do(ctx context.Context, service string, body []byte) ([]byte, error) {
	a, err := c.DoWith(ctx, OpenRequest{Service: service}, Request{Frames: [][]byte{body}})
	if err != nil {
		return nil, err
	}
	return a[0], nil
}

// DoWith is Do with all choices. The reply's frames are the caller's.
func (c *Client) DoWith(ctx context.Context, r OpenRequest, call Request) ([][]byte, error) {
	a, err := c.DoAt(ctx, r, call)
	return a.Frames, err
}

// Answer is what came of a single call.
type Answer struct {
	Frames [][]byte // of the reply; the caller's
	Member string   // the registration of the worker that had it, as Member.ID; empty: none had
}

// DoAt is DoWith that tells who had the call, also with an error.
func (c *Client) DoAt(ctx context.Context, r OpenRequest, call Request) (Answer, error) {
	h, options, err := r.single(&call)
	if err != nil {
		return Answer{}, err
	}
	if next := c.heirs.instead(ctx); next != nil {
		return next.DoAt(ctx, r, call)
	}
	a, err := c.ask(ctx, r, h, options, call.frames(), call.Progress)
	if next := c.heirs.afterwards(ctx, err); next != nil {
		return next.DoAt(ctx, r, call)
	}
	return r.answer(a, err)
}

// single makes the request of a one-shot.
func (r *OpenRequest) single(call *Request) (h wire.Header, options []byte, err error) {
	if options, err = r.options(); err != nil {
		return h, nil, err
	}
	if r.Resume != 0 {
		return h, nil, &Error{Status: wire.BadFrame, Outcome: NeverStarted, Service: r.Service, Text: "OpenRequest.Resume of a single call, which has no hit to come back to: use OpenWith"}
	}
	if call.Body != nil {
		return h, nil, &Error{
			Status: wire.BadFlag, Outcome: NeverStarted, Service: r.Service,
			Text: "Request.Body cannot be sent together with the open: open a hit, and use its Stream or CallWith",
		}
	}
	h = wire.Header{Type: wire.Open, Flags: wire.Ref | wire.First | wire.Last}
	if call.Idempotent {
		h.Flags |= wire.Idempotent
	}
	return h, options, nil
}

// answer is what came of a one-shot.
func (r *OpenRequest) answer(a answer, err error) (Answer, error) {
	var e *Error
	if r.Task.Attach && errors.As(err, &e) && e.Status == wire.UnknownHit {
		e.cause = ErrUnknownTask
	}
	got := Answer{Frames: a.frames}
	if a.member != 0 {
		got.Member = strconv.FormatUint(uint64(a.member), 16)
	}
	return got, err
}
