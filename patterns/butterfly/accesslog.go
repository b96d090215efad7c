package butterfly

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// accessLog writes a line for each request.
type accessLog struct {
	mu     sync.Mutex
	out    io.Writer
	asJSON bool
}

func newAccessLog(out io.Writer, format string) *accessLog {
	return &accessLog{out: out, asJSON: format == "json"}
}

// line is a request in the log as JSON.
type logLine struct {
	Time    string  `json:"time"` // RFC 3339, when it began
	Remote  string  `json:"remote"`
	Method  string  `json:"method"`
	Target  string  `json:"target"`
	Proto   string  `json:"proto"`
	Status  int     `json:"status"`
	Bytes   int64   `json:"bytes"` // of the response's body
	MS      float64 `json:"ms"`
	Stage   string  `json:"stage,omitempty"` // that answered, or failed
	Trace   string  `json:"trace"`
	Referer string  `json:"referer,omitempty"`
	Agent   string  `json:"user_agent,omitempty"`
	Broken  string  `json:"broken,omitempty"` // why the response is not whole
}

// note writes the line of a request that is over.
func (l *accessLog) note(x *exchange, took time.Duration) {
	if l.out == nil {
		return
	}
	host, _, err := net.SplitHostPort(x.in.RemoteAddr)
	if err != nil {
		host = x.in.RemoteAddr
	}
	status := x.out.status
	if status == 0 {
		status = http.StatusOK
	}
	var text []byte
	if l.asJSON {
		line := logLine{
			Time: x.began.Format(time.RFC3339Nano), Remote: host, Method: x.in.Method, Target: x.in.RequestURI, Proto: x.in.Proto, Status: status, Bytes: x.out.bytes,
			MS: float64(took.Microseconds()) / 1000, Stage: x.branch, Trace: traceID(x.trace), Referer: x.in.Referer(), Agent: x.in.UserAgent(),
		}
		if x.broken != nil {
			line.Broken = x.broken.Error()
		}
		text, _ = json.Marshal(&line)
		text = append(text, '\n')
	} else {
		text = fmt.Appendf(nil, "%s - - [%s] %s %d %d %s %s\n", host, x.began.Format("02/Jan/2006:15:04:05 -0700"),
			quoted(x.in.Method+" "+x.in.RequestURI+" "+x.in.Proto), status, x.out.bytes, quoted(x.in.Referer()), quoted(x.in.UserAgent()))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.out.Write(text)
}

// quoted is a text that a client chose, such that it cannot break the log.
func quoted(s string) string {
	if s == "" {
		return `"-"`
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' || r > '~' }) {
		return strconv.QuoteToASCII(s)
	}
	return `"` + s + `"`
}
