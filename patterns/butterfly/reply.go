package butterfly

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// writer is a ResponseWriter that remembers what was sent.
type writer struct {
	http.ResponseWriter
	exchange *exchange
	held     http.Header // while it is ServeMux that answers: nothing of it is sent
	status   int
	bytes    int64
}

// Header is http.ResponseWriter's.
func (w *writer) Header() http.Header {
	if w.held != nil {
		return w.held
	}
	return w.ResponseWriter.Header()
}

// WriteHeader is http.ResponseWriter's.
func (w *writer) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	if w.held != nil {
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write is http.ResponseWriter's.
func (w *writer) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if w.held != nil {
		return len(b), nil
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap is http.ResponseController's.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// hopByHop are headers of one connection, which stages have no say in (RFC 9110, section 7.6.1), and those that the server sets by itself.
var hopByHop = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Proxy-Authenticate": true, "Proxy-Authorization": true, "Te": true, "Trailer": true,
	"Transfer-Encoding": true, "Upgrade": true, "Content-Length": true,
}

// reply sends a stage's answer to the client.
func (x *exchange) reply(ctx context.Context, v *visited) {
	x.branch = v.call.Stage
	if wrong := copyHeader(x.out.Header(), v.verdict.Header); wrong != "" {
		x.fail(&Problem{Status: http.StatusBadGateway, Stage: v.call.Stage, Verdict: "invalid-answer", Outcome: "finished", Detail: "its answer has " + wrong})
		return
	}
	x.setCookies()
	h, size := x.out.Header(), v.body.whole()
	bodyless := v.verdict.Status == http.StatusNoContent || v.verdict.Status == http.StatusNotModified
	if size >= 0 && !bodyless {
		h.Set("Content-Length", strconv.FormatInt(size, 10))
	}
	x.out.WriteHeader(v.verdict.Status)
	if bodyless || x.in.Method == http.MethodHead {
		return
	}
	for _, f := range v.body.frames {
		if _, err := x.out.Write(f); err != nil {
			return // the client has gone
		}
	}
	if v.body.rest != nil {
		x.copy(ctx, v)
	}
}

// copyHeader adds the headers of an answer that are its own to say. It returns what is no header, empty if all are.
func copyHeader(to, from http.Header) (wrong string) {
	for name, values := range from {
		if !isHeaderName(name) {
			return "the header " + strconv.Quote(name) + ", which is none"
		}
		name = http.CanonicalHeaderKey(name)
		for _, value := range values {
			if !isHeaderValue(value) {
				return "a header " + name + " with a value that no header can have"
			}
			if !hopByHop[name] {
				to.Add(name, value)
			}
		}
	}
	return ""
}

// copy sends a body that comes in parts, each as soon as it is there. One that breaks off ends the connection, so that the client sees that it is not whole.
func (x *exchange) copy(_ context.Context, v *visited) {
	control := http.NewResponseController(x.out)
	buffer := make([]byte, 64<<10)
	for {
		n, err := v.body.rest.Read(buffer)
		if n > 0 {
			if _, failed := x.out.Write(buffer[:n]); failed != nil {
				return
			}
			_ = control.Flush()
		}
		switch {
		case err == io.EOF:
			return
		case err != nil:
			v.body.drop()
			x.broken = problemOf(v.call.Stage, err)
			x.front.cfg.Logger.Warn("a reply broke off", "stage", v.call.Stage, "trace", x.trace, "error", err)
			panic(http.ErrAbortHandler)
		}
	}
}

func (x *exchange) setCookies() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range x.cookies {
		http.SetCookie(x.out, c)
	}
}

// fail sends a problem to the client.
func (x *exchange) fail(p *Problem) {
	q := *p
	q.Trace = traceID(x.trace)
	x.branch = q.Stage
	a := q.answer()
	if q.Status >= 500 {
		x.front.cfg.Logger.Warn("a request failed", "status", q.Status, "stage", q.Stage, "verdict", q.Verdict, "trace", q.Trace, "detail", q.Detail)
	}
	h := x.out.Header()
	clear(h)
	for name, values := range a.verdict.Header {
		h[name] = values
	}
	if allow := x.allow; allow != "" {
		h.Set("Allow", allow)
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	x.out.WriteHeader(a.verdict.Status)
	if x.in.Method != http.MethodHead {
		_, _ = x.out.Write(a.body)
	}
}

func traceID(parent string) string {
	parts := strings.Split(parent, "-")
	if len(parts) < 2 {
		return ""
	}
	return parts[1]
}

// isHeaderName reports whether a name is a token (RFC 9110, section 5.6.2).
func isHeaderName(s string) bool {
	const token = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return s != "" && strings.Trim(s, token) == ""
}

// isHeaderValue reports whether a value has no control characters (RFC 9110, section 5.5).
func isHeaderValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}
