package assigner

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// How bodies flow; docs/performance.md says why.
const (
	streamWindow = 768 << 10 // bytes of a body that may be under way to us
	partSize     = 384 << 10 // bytes of a part at most
)

// windowOf returns the window of bodies on a connection whose own window is given, both in bytes: the broker lets no more wait.
func windowOf(connection int64) uint64 {
	return uint64(min(streamWindow, max(connection/2, 8<<10))) >> 10 << 10
}

// outflow is a body that is sent in parts, as far as its receiver has allowed. One goroutine writes; the loop brings credit.
type outflow struct {
	send func(h *wire.Header, b *zmqsock.Block, n int) error // takes the block
	most int                                                 // bytes of a part
	wake chan struct{}
	over chan struct{} // closed when nothing more is sent

	mu      sync.Mutex
	account wire.Stream
	why     error // of over

	// The writer's.
	block *zmqsock.Block
	fill  int
	total uint64 // bytes written, those in block included
}

func newOutflow(seq uint32, size uint64, maxBody int64, send func(*wire.Header, *zmqsock.Block, int) error) *outflow {
	return &outflow{
		send: send, most: int(min(partSize, maxBody)), wake: make(chan struct{}, 1), over: make(chan struct{}),
		account: wire.Stream{Seq: seq, Size: size},
	}
}

// errSent ends an outflow whose last part has been sent.
var errSent = errors.New("assigner: the body is complete")

// credit takes a CREDIT, and reports whether it goes back. It runs on the loop.
func (o *outflow) credit(arg uint32) (back bool) {
	o.mu.Lock()
	moved, back := o.account.Credit(arg)
	o.mu.Unlock()
	if moved {
		select {
		case o.wake <- struct{}{}:
		default:
		}
	}
	return back
}

// stop makes all further sends fail: after it has returned, no part is sent. The first reason stays.
func (o *outflow) stop(why error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.end(why)
}

func (o *outflow) end(why error) {
	if o.why == nil {
		o.why = why
		close(o.over)
	}
}

// ended reports whether nothing more is sent.
func (o *outflow) ended() bool {
	select {
	case <-o.over:
		return true
	default:
		return false
	}
}

// allowed waits until bytes may be sent and returns how many, up to want.
func (o *outflow) allowed(done <-chan struct{}, stopped func() error, want int) (int, error) {
	for {
		o.mu.Lock()
		left, why := o.account.Limit-o.account.Sent, o.why
		o.mu.Unlock()
		switch {
		case why != nil:
			return 0, why
		case left > 0:
			return int(min(uint64(want), left)), nil
		}
		select {
		case <-o.wake:
		case <-o.over:
		case <-done:
			return 0, stopped()
		}
	}
}

// part sends a part: the first n bytes of the block, or none where that is nil. Without more it is the last one.
func (o *outflow) part(b *zmqsock.Block, n int, flags wire.Flags) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if b == nil {
		b = zmqsock.NewBlock(0)
	}
	if o.why != nil {
		b.Free()
		return o.why
	}
	h := wire.Header{Type: wire.Part, Flags: flags, Seq: o.account.Seq, Part: o.account.Part() + 1}
	if wrong := o.account.Take(&h, n); wrong != nil {
		b.Free()
		return wrong
	}
	if err := o.send(&h, b, n); err != nil {
		o.end(err)
		return err
	}
	if !flags.Has(wire.More) {
		o.end(errSent)
	}
	return nil
}

// room makes a block with room for the next bytes. What is full is sent.
func (o *outflow) room(done <-chan struct{}, stopped func() error) error {
	if o.block != nil && o.fill < len(o.block.Bytes()) {
		return nil
	}
	if o.block != nil {
		b := o.block
		o.block = nil
		if err := o.part(b, o.fill, wire.More); err != nil {
			return err
		}
	}
	want := o.most
	if size := o.account.Size; size != wire.Unsized {
		want = int(min(uint64(want), size-o.total))
	}
	n, err := o.allowed(done, stopped, want)
	if err != nil {
		return err
	}
	o.block, o.fill = zmqsock.NewBlock(n), 0
	return nil
}

// write sends p, but for its end, which stays until more is written or the body is finished.
func (o *outflow) write(done <-chan struct{}, stopped func() error, p []byte) (int, error) {
	if o.account.Size != wire.Unsized && o.total+uint64(len(p)) > o.account.Size {
		return 0, fmt.Errorf("assigner: the body comes to %d bytes, %d were announced: announce as many, or -1", o.total+uint64(len(p)), o.account.Size)
	}
	all := 0
	for len(p) > 0 {
		if err := o.room(done, stopped); err != nil {
			return all, err
		}
		n := copy(o.block.Bytes()[o.fill:], p)
		o.fill += n
		o.total += uint64(n)
		all, p = all+n, p[n:]
	}
	return all, nil
}

// readFrom sends what r has, read straight into the memory it is sent from: all of it, or the announced size.
func (o *outflow) readFrom(done <-chan struct{}, stopped func() error, r io.Reader) (int64, error) {
	var all int64
	for o.account.Size == wire.Unsized || o.total < o.account.Size {
		if err := o.room(done, stopped); err != nil {
			return all, err
		}
		n, err := readFull(r, o.block.Bytes()[o.fill:])
		o.fill += n
		o.total += uint64(n)
		all += int64(n)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// readFull is io.ReadFull, but says io.EOF at every end: an io.ErrUnexpectedEOF is the reader's own, and no end.
func readFull(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	if n == len(b) {
		err = nil
	}
	return n, err
}

// whole says what is missing, if anything.
func (o *outflow) whole() error {
	if o.account.Size != wire.Unsized && o.total != o.account.Size {
		return fmt.Errorf("assigner: the body ends after %d bytes, %d were announced: %w", o.total, o.account.Size, io.ErrUnexpectedEOF)
	}
	return nil
}

// finish sends the last part.
func (o *outflow) finish(last wire.Flags) error {
	b := o.block
	o.block = nil
	return o.part(b, o.fill, last)
}

// discard gives up what was not sent. It belongs to the writer.
func (o *outflow) discard() {
	if o.block != nil {
		o.block.Free()
		o.block = nil
	}
}
