package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
)

// Logger returns a logger whose lines are shown when the test fails, and whose verdicts are on the timeline as said by who.
func Logger(t testing.TB, who string) *slog.Logger {
	w := &pages{}
	l := TimelineOf(t)
	t.Cleanup(func() {
		if text := w.String(); t.Failed() && text != "" {
			t.Logf("%s logged:\n%s", who, text)
		}
	})
	return slog.New(&listener{Handler: slog.NewTextHandler(w, nil), timeline: l, who: who})
}

// listener is a handler that hears verdicts.
type listener struct {
	slog.Handler
	timeline *Timeline
	who      string
}

// Handle is slog.Handler's.
func (h *listener) Handle(ctx context.Context, r slog.Record) error {
	attrs := make(map[string]any, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		attrs[a.Key] = a.Value.Any()
		return true
	})
	hear(h.timeline, h.who, attrs)
	return h.Handler.Handle(ctx, r)
}

// WithAttrs is slog.Handler's.
func (h *listener) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &listener{h.Handler.WithAttrs(attrs), h.timeline, h.who}
}

// WithGroup is slog.Handler's.
func (h *listener) WithGroup(name string) slog.Handler {
	return &listener{h.Handler.WithGroup(name), h.timeline, h.who}
}

// hear puts the verdict of a log record on the timeline, if it has one: the attribute "why".
func hear(l *Timeline, who string, attrs map[string]any) {
	var raw []byte
	switch record := attrs["why"].(type) {
	case nil:
		return
	case json.RawMessage:
		raw = record
	case []byte:
		raw = record
	case string:
		raw = []byte(record)
	default:
		raw, _ = json.Marshal(record) // what has no JSON form is no verdict
	}
	if v, ok := ParseVerdict(who, raw); ok {
		l.Hear(v)
	}
}

// ear listens to the JSON log of a process, line by line.
type ear struct {
	mu       sync.Mutex
	part     []byte
	timeline *Timeline
	who      string
}

// Write is io.Writer's.
func (e *ear) Write(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.part = append(e.part, b...)
	for {
		line, rest, whole := bytes.Cut(e.part, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		var attrs map[string]any
		if bytes.HasPrefix(line, []byte("{")) && json.Unmarshal(line, &attrs) == nil {
			hear(e.timeline, e.who, attrs)
		}
		e.part = append(e.part[:0], rest...)
	}
}

// pages is a buffer with a lock; what is beyond its limit is dropped.
type pages struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write is io.Writer's.
func (p *pages) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.buf.Len() < 1<<16 {
		p.buf.Write(b)
	}
	return len(b), nil
}

// String returns what was written.
func (p *pages) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf.String()
}
