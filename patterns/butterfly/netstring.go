package butterfly

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// ErrBadNetstring says that what came is no netstring (D. J. Bernstein, 1997), or too long.
var ErrBadNetstring = errors.New("no netstring")

// ReadNetstring reads one netstring, as 5:hello, of at most so many bytes. The error is io.EOF where there is none any more, and ErrBadNetstring, or
// io.ErrUnexpectedEOF, where what comes is none; nothing more can be read then.
func ReadNetstring(r *bufio.Reader, most int64) ([]byte, error) {
	digits := 0
	var n int64
	for {
		c, err := r.ReadByte()
		switch {
		case err == io.EOF && digits > 0:
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		case c == ':' && digits > 0:
			return readRest(r, n)
		case c < '0' || c > '9' || digits > 0 && n == 0:
			return nil, fmt.Errorf("%w: %q in the length: it is written as 5:hello", ErrBadNetstring, c)
		}
		digits++
		if n = n*10 + int64(c-'0'); n > most {
			return nil, fmt.Errorf("%w: it has more than %d bytes", ErrBadNetstring, most)
		}
	}
}

func readRest(r *bufio.Reader, n int64) ([]byte, error) {
	b := make([]byte, 0, min(n, 64<<10)) // as it comes: a length alone takes no memory
	for int64(len(b)) < n {
		piece := int(min(n-int64(len(b)), 64<<10))
		at := len(b)
		b = append(b, make([]byte, piece)...)
		if _, err := io.ReadFull(r, b[at:]); err != nil {
			return nil, io.ErrUnexpectedEOF
		}
	}
	c, err := r.ReadByte()
	if err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	if c != ',' {
		return nil, fmt.Errorf("%w: %q in place of the comma at its end", ErrBadNetstring, c)
	}
	return b, nil
}

// AppendNetstring appends a netstring.
func AppendNetstring(to, b []byte) []byte {
	to = append(strconv.AppendInt(to, int64(len(b)), 10), ':')
	return append(append(to, b...), ',')
}

// pipelined is how many netstrings of one connection are worked on at the same time; the next ones are not read before.
const pipelined = 64

// ServeNetstrings serves connections on which each netstring is the body of a POST request to the target, and each answer a netstring: the response's body, a problem
// where it failed. Requests of one connection are worked on in parallel, and answered in order. It closes the listener when ctx ends, and returns nil then,
// when all that was under way is answered or Config.Drain is over.
func (f *Front) ServeNetstrings(ctx context.Context, l net.Listener, target string) error {
	var all sync.WaitGroup
	defer all.Wait()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			all.Go(func() { f.netstrings(ctx, c, target) })
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		default: // out of descriptors, say: others are served meanwhile
			f.cfg.Logger.Warn("a connection cannot be taken", "error", err)
			pause := time.NewTimer(50 * time.Millisecond)
			select {
			case <-pause.C:
			case <-ctx.Done():
			}
			pause.Stop()
		}
	}
}

// netstrings serves one connection.
func (f *Front) netstrings(ctx context.Context, c net.Conn, target string) {
	defer func() { _ = c.Close() }()
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { // no new ones; what is under way has the time of a drain
		_ = c.SetReadDeadline(time.Now())
		time.AfterFunc(f.cfg.Drain, cancel)
	})
	defer stop()
	answers := make(chan chan []byte, pipelined)
	written := make(chan struct{})
	go func() {
		defer close(written)
		out := bufio.NewWriter(c)
		for a := range answers {
			if _, err := out.Write(<-a); err != nil {
				cancel() // nobody reads
			}
			if len(answers) == 0 {
				_ = out.Flush()
			}
		}
	}()
	in := bufio.NewReader(c)
	for {
		body, err := ReadNetstring(in, f.cfg.MaxBody)
		if err != nil {
			if errors.Is(err, ErrBadNetstring) {
				a := make(chan []byte, 1)
				a <- AppendNetstring(nil, (&Problem{Status: http.StatusBadRequest, Detail: err.Error()}).answer().body)
				answers <- a
			} else if ctx.Err() == nil && !errors.Is(err, io.EOF) {
				cancel() // the client is gone
			}
			break
		}
		a := make(chan []byte, 1)
		answers <- a
		go func() { a <- f.netstring(work, target, body) }()
	}
	close(answers)
	<-written
}

// netstring works on one request.
func (f *Front) netstring(ctx context.Context, target string, body []byte) []byte {
	r, err := f.Do(ctx, http.MethodPost, target, nil, body)
	if err != nil {
		return AppendNetstring(nil, (&Problem{Status: http.StatusServiceUnavailable, Detail: "the request was given up: " + err.Error()}).answer().body)
	}
	b, _ := io.ReadAll(r.Body)
	return AppendNetstring(nil, b)
}
