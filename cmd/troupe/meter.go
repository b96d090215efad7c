package main

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// meter counts what a call has sent and received so far.
type meter struct {
	in             io.Reader
	size           int64 // of what is sent, -1 where it is not known
	sent, received atomic.Int64
}

// Read is io.Reader's, of the body that is sent.
func (m *meter) Read(p []byte) (int, error) {
	n, err := m.in.Read(p)
	m.sent.Add(int64(n))
	return n, err
}

// into counts what is written to w as received.
func (m *meter) into(w io.Writer) io.Writer { return counting{w, &m.received} }

type counting struct {
	io.Writer
	n *atomic.Int64
}

// Write is io.Writer's.
func (c counting) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n.Add(int64(n))
	return n, err
}

// showMeter shows on a terminal how far the call has come, until stop is called.
func (a *app) showMeter(m *meter) (stop func()) {
	file, ok := a.err.(*os.File)
	if !ok {
		return func() {}
	}
	if _, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS); err != nil {
		return func() {} // no terminal
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				of := ""
				if m.size > 0 {
					of = fmt.Sprintf(" of %s, %d%%", bytesOf(m.size), 100*m.sent.Load()/m.size)
				}
				fmt.Fprintf(file, "\r\x1b[Ksent %s%s, received %s", bytesOf(m.sent.Load()), of, bytesOf(m.received.Load()))
			case <-quit:
				fmt.Fprint(file, "\r\x1b[K")
				return
			}
		}
	}()
	return func() { close(quit); <-done }
}

// bytesOf writes a number of bytes for people.
func bytesOf(n int64) string {
	for _, u := range sizeUnits[:3] {
		if n >= u.factor {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.factor), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
