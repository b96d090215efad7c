package butterfly

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/patterns/butterfly/machine"
)

// visit has a stage work on the request.
func (x *exchange) visit(ctx context.Context, c machine.Call, in input) *visited {
	s := x.front.stages[c.Stage]
	v := &visited{call: c}
	began := time.Now()
	s.stats.begin()
	frames, rest, size, err := x.call(ctx, s, c, in)
	s.stats.end(time.Since(began), err != nil)
	if err != nil {
		in.drop()
		v.problem = x.explain(ctx, s, err)
		return v
	}
	v.body = payload{frames[1:], rest, size}
	if v.answer, err = v.verdict.parse(frames[0]); err != nil {
		v.body.drop()
		s.stats.invalid()
		v.problem = &Problem{Status: http.StatusBadGateway, Stage: s.name, Verdict: "invalid-answer", Outcome: "finished", Detail: "the stage " + s.name + " answers what is no answer: " + err.Error()}
	}
	return v
}

// explain makes a problem of a stage's error.
func (x *exchange) explain(ctx context.Context, s *stage, err error) *Problem {
	p := problemOf(s.name, err)
	switch cause := ctx.Err(); {
	case cause == nil:
	case errors.Is(cause, context.Canceled) && x.front.draining.Load():
		p.Status, p.Retry, p.Detail = http.StatusServiceUnavailable, 1, "the server is about to stop: "+p.Detail
	case errors.Is(cause, context.DeadlineExceeded):
		p.Status, p.Retry = http.StatusGatewayTimeout, 0
	}
	return p
}

// head is the first frame of a call.
func (x *exchange) head(ctx context.Context, c machine.Call, in *input) []byte {
	h := Head{
		Method: x.in.Method, Path: x.in.URL.Path, Query: x.in.URL.RawQuery, Host: x.in.Host, Header: x.in.Header, Remote: x.in.RemoteAddr, Trace: x.trace, Hop: c.Hop,
		From: in.from, Data: in.data,
	}
	for _, name := range x.route.wildcards {
		if h.Values == nil {
			h.Values = make(map[string]string, len(x.route.wildcards))
		}
		h.Values[name] = x.in.PathValue(name)
	}
	if at, ok := ctx.Deadline(); ok {
		h.Deadline = max(time.Until(at).Milliseconds(), 1)
	}
	return h.append(make([]byte, 0, 512))
}

// call makes the call by whichever way the stage has. The frames are at least one.
func (x *exchange) call(ctx context.Context, s *stage, c machine.Call, in input) (frames [][]byte, rest io.ReadCloser, size int64, err error) {
	request := assigner.Request{Frames: append([][]byte{x.head(ctx, c, &in)}, in.frames...)}
	key, problem := x.key(s)
	if problem != nil {
		return nil, nil, 0, problem
	}
	if key != "" && s.Affinity.Session {
		frames, err = s.sessions.call(ctx, x.front.client, key, request)
		return frames, nil, 0, err
	}
	open := assigner.OpenRequest{Service: s.Service, Target: s.Target}
	if key != "" {
		open.Target = assigner.Target{Key: key}
	}
	if s.Stream {
		request.Body, request.Size = in.rest, in.size
		return x.stream(ctx, open, request)
	}
	frames, err = x.front.client.DoWith(ctx, open, request)
	return frames, nil, 0, err
}

// stream makes a call in parts, on a hit of its own that ends with the reply.
func (x *exchange) stream(ctx context.Context, open assigner.OpenRequest, request assigner.Request) ([][]byte, io.ReadCloser, int64, error) {
	h, err := x.front.client.OpenWith(ctx, open)
	if err != nil {
		return nil, nil, 0, err
	}
	if request.Body == nil {
		request.Size = 0
	}
	r, err := h.Stream(ctx, request)
	if err != nil {
		closeLater(h)
		var p *Problem
		if errors.As(err, &p) { // of the client's body
			return nil, nil, 0, p
		}
		return nil, nil, 0, err
	}
	return r.Frames, &streamed{r.Body, h}, r.Size, nil
}

// streamed is a reply in parts, with the hit that it ends.
type streamed struct {
	io.ReadCloser
	hit *assigner.Hit
}

// Close gives up what was not read, and closes the hit.
func (s *streamed) Close() error {
	err := s.ReadCloser.Close()
	closeLater(s.hit)
	return err
}

// farewell bounds how long a hit may take to close that nobody waits for.
const farewell = 10 * time.Second

// closeLater closes a hit without waiting: the client sends the CLOSE, and ends what is left when it is closed itself.
func closeLater(h *assigner.Hit) {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	go func() {
		defer cancel()
		_ = h.Close(ctx)
	}()
}

// isOver reports that a session's hit cannot be used any more.
func isOver(err error) bool {
	var e *assigner.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Status {
	case wire.ServiceError, wire.BadBody, wire.QueueFull, wire.TooLarge, wire.Expired, wire.Cancelled, wire.PeerSlow:
		return false
	}
	return true
}
