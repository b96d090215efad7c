package assigner

import (
	"errors"
	"io"
	"sync"

	"github.com/troupe-mq/troupe/bridge"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// inflow is a body that comes in parts. What has come and was not read yet is bounded by the credit that it grants as it is read. One goroutine
// reads; the loop brings the parts.
type inflow struct {
	window uint64
	grant  func(arg uint32)
	wake   chan struct{}

	mu      sync.Mutex
	account wire.Stream
	parts   []*wire.Message // detached, not read yet
	frame   int             // of the first part, where reading goes on
	offset  int
	using   bool   // the first part is being read
	eaten   uint64 // bytes read
	begun   bool   // credit may be granted
	done    bool   // the last part has come
	err     error  // why nothing more is read
}

func newInflow(seq uint32, size, window uint64, grant func(arg uint32)) *inflow {
	return &inflow{account: wire.Stream{Seq: seq, Size: size}, window: window, grant: grant, wake: make(chan struct{}, 1)}
}

// take takes a part. It returns what is wrong with it, and reports whether it was the last one. It runs on the loop.
func (f *inflow) take(m *wire.Message) (last bool, wrong *wire.BadMessage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return !m.Header.Flags.Has(wire.More), nil
	}
	if wrong = f.account.Take(&m.Header, m.BodySize()); wrong != nil {
		return false, wrong
	}
	f.done = !m.Header.Flags.Has(wire.More)
	if m.BodySize() > 0 {
		f.parts = append(f.parts, bridge.Detach(m))
	}
	f.rouse()
	return f.done, nil
}

func (f *inflow) rouse() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// fail ends the body: whoever reads gets the error, the first one stays. What was not read is dropped. A body that has been read to its end
// stays as it is. It reports whether there was something to end.
func (f *inflow) fail(err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return false
	}
	over := f.done && len(f.parts) == 0
	if over {
		return false
	}
	f.err = err
	f.drop()
	f.rouse()
	return true
}

// drop frees what was not read, but for what is being read: its reader comes back here.
func (f *inflow) drop() {
	kept := 0
	if f.using {
		kept = 1
	}
	for i, m := range f.parts[kept:] {
		m.Release()
		f.parts[kept+i] = nil
	}
	f.parts = f.parts[:kept]
}

// announce tells the size of a body of which parts may have come already.
func (f *inflow) announce(size uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.account.Size = size
	if f.done && size != wire.Unsized && f.account.Sent != size {
		f.err = &wire.BadMessage{Status: wire.BadPart, Text: "the body ends before its announced size"}
		f.drop()
	}
}

// size returns the announced size, -1 where it is not known.
func (f *inflow) size() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.account.Size == wire.Unsized {
		return -1
	}
	return int64(f.account.Size)
}

// begin grants the first credit.
func (f *inflow) begin() {
	f.mu.Lock()
	f.begun = true
	arg, due := f.due()
	f.mu.Unlock()
	if due {
		f.grant(arg)
	}
}

// due returns the credit that is to be granted now, if any: half of the window at least has been read since the last one.
func (f *inflow) due() (uint32, bool) {
	a := &f.account
	limit := (f.eaten + f.window) >> 10 << 10
	if !f.begun || f.done || f.err != nil || a.Limit >= a.Size || limit < a.Limit+f.window/2 {
		return 0, false
	}
	a.Limit = limit
	return wire.CreditArg(limit), true
}

// read hands the next bytes to use, which returns how many it took; it waits for some until done is closed, and then returns what stopped says.
func (f *inflow) read(done <-chan struct{}, stopped func() error, use func([]byte) (int, error)) (int, error) {
	for {
		f.mu.Lock()
		switch {
		case f.err != nil:
			defer f.mu.Unlock()
			return 0, f.err
		case len(f.parts) > 0:
			return f.consume(use)
		case f.done:
			f.mu.Unlock()
			return 0, io.EOF
		case !f.begun:
			f.mu.Unlock()
			f.begin()
			continue
		}
		f.mu.Unlock()
		select {
		case <-f.wake:
		case <-done:
			return 0, stopped()
		}
	}
}

// consume lets use work on the first part. It is called with the lock held, and releases it.
func (f *inflow) consume(use func([]byte) (int, error)) (int, error) {
	m, frame, offset := f.parts[0], f.frame, f.offset
	f.using = true // so that nobody frees it
	f.mu.Unlock()
	n, err := use(m.Body[frame][offset:])
	offset += n
	for frame < len(m.Body) && offset == len(m.Body[frame]) {
		frame, offset = frame+1, 0
	}
	f.mu.Lock()
	f.using = false
	f.eaten += uint64(n)
	f.frame, f.offset = frame, offset
	switch {
	case f.err != nil:
		f.drop()
	case frame == len(m.Body):
		f.frame, f.parts[0] = 0, nil
		f.parts = f.parts[1:]
		m.Release()
	}
	arg, due := f.due()
	f.mu.Unlock()
	if due {
		f.grant(arg)
	}
	return n, err
}

// inReader is an inflow as an io.Reader that stops with a context. Memory that it hands out is never the message's own.
type inReader struct {
	flow    *inflow
	done    <-chan struct{}
	stopped func() error
}

// Read is io.Reader's.
func (r *inReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return r.flow.read(r.done, r.stopped, func(b []byte) (int, error) { return copy(p, b), nil })
}

// WriteTo is io.WriterTo's: the bytes go to w from where they were received.
func (r *inReader) WriteTo(w io.Writer) (int64, error) {
	var all int64
	for {
		n, err := r.flow.read(r.done, r.stopped, w.Write)
		all += int64(n)
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return all, nil
		default:
			return all, err
		}
	}
}

// noBody is the reader of what has no body in parts.
type noBody struct{}

// Read is io.Reader's.
func (noBody) Read([]byte) (int, error) { return 0, io.EOF }

// Close is io.Closer's.
func (noBody) Close() error { return nil }
