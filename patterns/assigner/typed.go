package assigner

import (
	"context"
	"fmt"
	"strings"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// Typed makes a Handler of a function from a value to a value, by the worker's Codec. A body that is no Req is answered by bad-body, and the function does
// not run: the caller gets an *Error that is ErrBadBody, outcome NeverStarted.
func Typed[Req, Resp any](f func(ctx context.Context, c *Call, req Req) (Resp, error)) Handler {
	return func(ctx context.Context, c *Call) ([]byte, error) {
		var req Req
		if err := c.Decode(&req); err != nil {
			return nil, err
		}
		resp, err := f(ctx, c, req)
		if err != nil {
			return nil, err
		}
		return c.Encode(resp)
	}
}

// Decode stores what the call's body says in the value that v points to, by the worker's Codec. The error is for the handler, or session, to return as it is,
// before it has done anything: the caller then learns that the call never started.
func (c *Call) Decode(v any) error {
	codec := c.codec()
	err := codec.Unmarshal(c.Body(), v)
	if err == nil && len(c.Frames) > 1 {
		err = fmt.Errorf("the body has %d frames where one belongs", len(c.Frames))
	}
	if err != nil {
		return &BodyError{fmt.Sprintf("service %q cannot read the body of %d bytes as %s of %s: %v", c.Service, len(c.Body()), codec.Name(), strings.TrimPrefix(fmt.Sprintf("%T", v), "*"), err), err}
	}
	return nil
}

// Encode returns a value as a reply's body, by the worker's Codec.
func (c *Call) Encode(v any) ([]byte, error) {
	codec := c.codec()
	body, err := codec.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("the service ran, but its reply has no form as %s: %w", codec.Name(), err)
	}
	return body, nil
}

func (c *Call) codec() Codec {
	if c.slot == nil || c.slot.worker.cfg.Codec == nil {
		return JSON
	}
	return c.slot.worker.cfg.Codec
}

// BodyError is Call.Decode's error: the body is not what the service takes. It matches ErrBadBody.
type BodyError struct {
	Text  string
	cause error
}

// Error returns the text.
func (e *BodyError) Error() string { return e.Text }

// Unwrap returns ErrBadBody and the codec's error.
func (e *BodyError) Unwrap() []error { return []error{ErrBadBody, e.cause} }

// CallAs makes a call whose body and reply are values, by the client's Codec. A reply that is no Resp is an *Error that is ErrBadBody, outcome Finished; a
// request that has no body is one with outcome NeverStarted.
func CallAs[Resp any](ctx context.Context, h *Hit, req any) (Resp, error) {
	return as[Resp](h.up, h.service, h.handle, req, func(body Request) ([][]byte, error) { return h.CallWith(ctx, body) })
}

// DoAs is CallAs of a hit that is opened for the call, and closed after it.
func DoAs[Resp any](ctx context.Context, c *Client, service string, req any) (Resp, error) {
	return as[Resp](c.up, service, 0, req, func(body Request) ([][]byte, error) {
		return c.DoWith(ctx, OpenRequest{Service: service}, body)
	})
}

func as[Resp any](up *uplink, service string, hit uint64, req any, call func(Request) ([][]byte, error)) (resp Resp, err error) {
	codec := up.cfg.Codec
	if codec == nil {
		codec = JSON
	}
	failed := func(o Outcome, text string, err error) error {
		return &Error{Status: wire.BadBody, Outcome: o, Text: text, Service: service, Hit: hit, cause: err}
	}
	body, err := codec.Marshal(req)
	if err != nil {
		return resp, failed(NeverStarted, fmt.Sprintf("a %T has no form as %s: %v", req, codec.Name(), err), err)
	}
	frames, err := call(Request{Frames: [][]byte{body}})
	if err != nil {
		return resp, err
	}
	reply := frames[0]
	err = codec.Unmarshal(reply, &resp)
	if err == nil && len(frames) > 1 {
		err = fmt.Errorf("it has %d frames where one belongs", len(frames))
	}
	if err != nil {
		return resp, failed(Finished, fmt.Sprintf("the reply of %d bytes cannot be read as %s of %T: %v", len(reply), codec.Name(), resp, err), err)
	}
	return resp, nil
}
