package program

import (
	"bufio"
	"bytes"
	"io"
	"sync"
)

// Errors gets what programs say on standard error, as whole lines. It is safe for concurrent use.
type Errors struct {
	mu sync.Mutex
	to io.Writer
}

// NewErrors returns an Errors that writes to w.
func NewErrors(w io.Writer) *Errors { return &Errors{to: w} }

func (e *Errors) line(prefix string, line []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, _ = e.to.Write(append(append([]byte(prefix), line...), '\n')) // there is nobody else to tell
}

// words is what one program says on standard error.
type words struct {
	prefix string
	errors *Errors
	kept   *string // the last line that is not empty
}

const maxLine = 4096 // bytes of a line; longer ones are broken

// copy passes lines on until the stream ends.
func (w words) copy(r io.Reader) {
	lines := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := lines.ReadSlice('\n')
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 {
			*w.kept = string(line)
			w.errors.line(w.prefix, line)
		}
		if err != nil && err != bufio.ErrBufferFull { //nolint:errorlint // bufio returns it bare
			return
		}
	}
}

// last returns the last line. It is valid once copy has returned.
func (w words) last() string { return *w.kept }
