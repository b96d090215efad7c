package butterfly

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// Request is a request as a stage's worker sees it.
type Request struct {
	Head
	Bodies [][]byte // one, or one for each branch that is joined here; the handler's until it returns

	call *assigner.Call
}

// Body returns the first body.
func (r *Request) Body() []byte {
	if len(r.Bodies) == 0 {
		return nil
	}
	return r.Bodies[0]
}

// Input reads a body that comes in parts, behind Bodies: that of a stage with Stream.
func (r *Request) Input() io.Reader { return r.call.Input() }

// Get returns the first value of a query's key, as url.Values has it; empty if there is none.
func (r *Request) Get(key string) string {
	q, err := url.ParseQuery(r.Query)
	if err != nil {
		return ""
	}
	return q.Get(key)
}

// Decode stores what the stages before have said in data, the i-th of them, in the value that v points to.
func (r *Request) Decode(i int, v any) error {
	if i >= len(r.Data) {
		return fmt.Errorf("butterfly: %d stages before this one have said something, not %d", len(r.Data), i+1)
	}
	return json.Unmarshal(r.Data[i], v)
}

// Progress says how far the request is, as assigner.Call.Progress does: it renews the lease of the worker's thread.
func (r *Request) Progress(done float64, note string) { r.call.Progress(done, note) }

// Answer is what a stage makes of a request. Make it by Reply, Next or To.
type Answer struct {
	verdict verdictHead
	body    []byte
	stream  func(io.Writer) error
	size    int64
}

// Reply answers the client, from whatever stage.
func Reply(status int, contentType string, body []byte) *Answer {
	a := &Answer{verdict: verdictHead{Status: status}, body: body}
	if contentType != "" {
		a.verdict.Header = http.Header{"Content-Type": {contentType}}
	}
	return a
}

// Stream answers the client with a body that is written while it is sent: of size bytes, -1 where that is not known. Only at stages with Stream.
func Stream(status int, contentType string, size int64, write func(io.Writer) error) *Answer {
	a := Reply(status, contentType, nil)
	a.stream, a.size = write, size
	return a
}

// Next passes a body on to the next stage of the route.
func Next(body []byte) *Answer { return &Answer{verdict: verdictHead{Next: true}, body: body} }

// To passes a body on to the named stage, or to several at once: the next stage of the route gets what they pass on, or the one that Join names.
func To(body []byte, stages ...string) *Answer {
	return &Answer{verdict: verdictHead{To: stages}, body: body}
}

// Join names the stage that gets what several pass on.
func (a *Answer) Join(stage string) *Answer {
	a.verdict.Join = stage
	return a
}

// Header sets a header of a reply.
func (a *Answer) Header(key, value string) *Answer {
	if a.verdict.Header == nil {
		a.verdict.Header = http.Header{}
	}
	a.verdict.Header.Set(key, value)
	return a
}

// With hands the next stages a value, as JSON, beside the body. A value without a JSON form is the stage's error.
func (a *Answer) With(v any) *Answer {
	b, err := json.Marshal(v)
	if err != nil {
		b = []byte("null")
	}
	a.verdict.Data = b
	return a
}

// Handler is the work of a stage. The context ends when nobody wants the answer any more: the client has gone, the deadline has passed, another branch has
// answered. An error that is a *Problem is the client's answer; any other is told as 502.
type Handler func(ctx context.Context, r *Request) (*Answer, error)

// Work makes a handler of package assigner, for a service that is a stage, of one that sees requests.
func Work(h Handler) assigner.Handler {
	return func(ctx context.Context, c *assigner.Call) ([]byte, error) {
		r := &Request{call: c, Bodies: c.Frames[1:]}
		if err := json.Unmarshal(c.Body(), &r.Head); err != nil {
			return nil, fmt.Errorf("the first frame is no head of a request (docs/protocol/butterfly.md, section 2): %w", err)
		}
		a, err := h(ctx, r)
		var p *Problem
		switch {
		case errors.As(err, &p):
			q := *p
			q.Trace = traceID(r.Trace)
			def(&q.Stage, c.Service)
			a = q.answer()
		case err != nil:
			return nil, err
		case a == nil:
			return nil, errors.New("the stage has neither an answer nor an error: return one of the two")
		}
		head, err := json.Marshal(&a.verdict)
		if err != nil {
			return nil, fmt.Errorf("the answer's head has no JSON form: %w", err)
		}
		if a.stream != nil {
			return nil, a.write(c, head)
		}
		if a.body != nil {
			c.More(a.body)
		}
		return head, nil
	}
}

// write sends an answer in parts.
func (a *Answer) write(c *assigner.Call, head []byte) error {
	out, err := c.Output(a.size, head)
	if err != nil {
		return err
	}
	if err := a.stream(out); err != nil {
		return err
	}
	return out.Close()
}
