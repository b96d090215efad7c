package process

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
)

// Tail is a writer that keeps the last 2,000 bytes of what is written to it. It is safe for concurrent use.
type Tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 2000

// Write keeps the last bytes.
func (t *Tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	t.text = t.text[max(0, len(t.text)-tailSize):]
	return len(b), nil
}

// String returns what was kept.
func (t *Tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.ToValidUTF8(string(bytes.TrimSpace(t.text)), "?")
}

// MaxLines is how many lines are kept that nobody has taken yet; later ones are dropped, so that a child is never held up.
const MaxLines = 1 << 14

// Lines is a writer that takes a stream apart into lines. It is safe for concurrent use.
type Lines struct {
	mu   sync.Mutex
	part []byte
	got  chan string
	over bool
}

// NewLines returns Lines without any.
func NewLines() *Lines { return &Lines{got: make(chan string, MaxLines)} }

// Write takes more of the stream; the bytes are the caller's.
func (l *Lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.part = append(l.part, b...)
	for !l.over {
		line, rest, whole := bytes.Cut(l.part, []byte("\n"))
		if !whole {
			break
		}
		l.put(string(line))
		l.part = rest
	}
	return len(b), nil
}

func (l *Lines) put(line string) {
	select {
	case l.got <- line:
	default:
	}
}

// End ends the stream; what came behind its last line break is a line.
func (l *Lines) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	l.over = true
	if len(l.part) > 0 {
		l.put(string(l.part))
	}
	close(l.got)
}

// Next returns the next line, io.EOF at the end, or the error of ctx.
func (l *Lines) Next(ctx context.Context) (string, error) {
	select {
	case line, ok := <-l.got:
		if !ok {
			return "", io.EOF
		}
		return line, nil
	default:
	}
	select {
	case line, ok := <-l.got:
		if !ok {
			return "", io.EOF
		}
		return line, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}
