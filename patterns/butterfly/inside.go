package butterfly

import (
	"bytes"
	"context"
	"io"
	"net/http"
)

// Do leads a request through its stages without HTTP: for programs that pump requests through, and for tests. The request's body may be nil. The response's
// body is in memory. A request that fails has a problem as its response, as it has over HTTP; the error says that there is none: ctx has ended.
func (f *Front) Do(ctx context.Context, method, target string, header http.Header, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if header != nil {
		r.Header = header
	}
	r.RequestURI, r.RemoteAddr = target, "inside"
	w := &memory{header: make(http.Header)}
	func() {
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // it is a value, not an error, here
				panic(p)
			}
		}()
		f.ServeHTTP(w, r)
	}()
	if w.status == 0 || ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return &http.Response{
		StatusCode: w.status, Status: http.StatusText(w.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: w.header,
		Body: io.NopCloser(bytes.NewReader(w.body.Bytes())), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

// memory is a ResponseWriter that keeps the response.
type memory struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header is http.ResponseWriter's.
func (m *memory) Header() http.Header { return m.header }

// WriteHeader is http.ResponseWriter's.
func (m *memory) WriteHeader(status int) {
	if m.status == 0 {
		m.status = status
	}
}

// Write is http.ResponseWriter's.
func (m *memory) Write(b []byte) (int, error) {
	m.WriteHeader(http.StatusOK)
	return m.body.Write(b)
}
