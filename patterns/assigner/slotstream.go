package assigner

import (
	"errors"
	"io"
	"strings"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// streams are the bodies of a slot that come and go in parts. A slot that never had one has none. They are shared with the loop, under the slot's lock.
type streams struct {
	in   map[uint32]*inflow          // bodies of calls that have not been left yet, by seq
	out  *outflow                    // the reply that is being sent
	left uint32                      // the last call that had its turn, and is over
	bad  map[uint32]*wire.BadMessage // what was wrong with bodies, by seq, where the broker does not see to that
}

// inflow returns the body of a call, made at its announcement or at its first part, whichever the loop or the thread comes to first: nil where the
// call is over.
func (s *slot) inflow(seq uint32) *inflow {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams == nil {
		s.streams = &streams{in: make(map[uint32]*inflow)}
	}
	f := s.streams.in[seq]
	if f == nil && seq > s.streams.left {
		f = newInflow(seq, wire.Unsized, windowOf(s.from.window.Load()), func(arg uint32) {
			s.send(wire.Header{Type: wire.Credit, Seq: seq, Arg: arg})
		})
		s.streams.in[seq] = f
	}
	return f
}

// announced notes the size of a body before its parts are judged, though the call may wait for its turn. It runs on the loop.
func (s *slot) announced(m *wire.Message) {
	if size, err := wire.ParseSize(wire.Call, m.Frame(0)); err == nil {
		if f := s.inflow(m.Header.Seq); f != nil {
			f.announce(size)
		}
	}
}

// part takes a part of a call's body. It returns what is wrong with it, whereby the body has ended. It runs on the loop.
func (s *slot) part(m *wire.Message) *wire.BadMessage {
	f := s.inflow(m.Header.Seq)
	if f == nil {
		return nil // the call is over
	}
	_, wrong := f.take(m)
	if wrong != nil {
		s.spoil(m.Header.Seq, wrong) // before the service can read of it
		f.fail(wrong)
	}
	return wrong
}

// spoil makes a call fail: whatever the service answers, its caller is told what was wrong with the body. It runs on the loop.
func (s *slot) spoil(seq uint32, wrong *wire.BadMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams == nil {
		s.streams = &streams{in: make(map[uint32]*inflow)}
	}
	if s.streams.bad == nil {
		s.streams.bad = make(map[uint32]*wire.BadMessage)
	}
	if seq > s.streams.left && s.streams.bad[seq] == nil {
		s.streams.bad[seq] = wrong
	}
}

// spoiltBody returns what was wrong with a call's body, nil if nothing was.
func (s *slot) spoiltBody(seq uint32) *wire.BadMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams == nil {
		return nil
	}
	return s.streams.bad[seq]
}

// sendBlock sends a part of a reply, by the hit's way.
func (s *slot) sendBlock(h *wire.Header, b *zmqsock.Block, n int) error {
	if s.written.Load() {
		b.Free()
		return errOver
	}
	h.Hit, h.Epoch = s.handle, s.epoch
	if s.direct != nil {
		return s.sendBlockDirect(h, b, n)
	}
	return s.from.link.ep.Sender().SendBlock(s.peer, h, b, n)
}

// credited lets more of the reply go, and reports whether the credit goes back. It runs on the loop.
func (s *slot) credited(m *wire.Message) (back bool) {
	s.mu.Lock()
	var o *outflow
	if s.streams != nil {
		o = s.streams.out
	}
	s.mu.Unlock()
	return o != nil && o.account.Seq == m.Header.Seq && o.credit(m.Header.Arg)
}

// arrives readies the body of a call that has its turn.
func (s *slot) arrives(m *wire.Message, c *Call) {
	size, err := wire.ParseSize(wire.Call, m.Frame(0))
	if c.in = s.inflow(c.Seq); c.in == nil {
		return
	}
	if err != nil {
		c.in.fail(err)
		return
	}
	c.Frames = m.Body[1:]
	c.in.announce(size)
}

// leaveStreams ends the bodies of a call that is over. The lock is held.
func (s *slot) leaveStreams(seq uint32) {
	if f := s.streams.in[seq]; f != nil {
		delete(s.streams.in, seq)
		f.fail(errOver)
	}
	delete(s.streams.bad, seq)
	if o := s.streams.out; o != nil {
		o.stop(errOver)
		o.discard()
		s.streams.out = nil
	}
	s.streams.left = max(s.streams.left, seq)
}

// dropStreams ends all bodies: the hit is over.
func (s *slot) dropStreams() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams == nil {
		return
	}
	for seq := range s.streams.in {
		s.leaveStreams(seq)
	}
	s.leaveStreams(1<<32 - 1)
}

// Input returns the body that follows the frames in parts, as it comes: empty where there is none. Its error is io.EOF only when all of it has come, and
// the context's when the call is cancelled. It is the handler's until that returns, and is read by one goroutine at a time.
func (c *Call) Input() io.Reader {
	if c.in == nil {
		return noBody{}
	}
	return &inReader{flow: c.in, done: c.run.Done(), stopped: c.run.Err}
}

// Size returns how many bytes Input brings, -1 where the caller did not know.
func (c *Call) Size() int64 {
	if c.in == nil {
		return 0
	}
	return c.in.size()
}

// Output begins a reply that is sent in parts, as the caller reads: first the head, one empty frame where it is left out, then what is written. Size is how
// many bytes that will be, -1 where it is not known. What the handler returns besides is not sent; an error that it returns ends the reply in the middle, and
// its caller is told. Writes fail with the context's error when the call is cancelled. It is possible once per call, and not in a one-shot.
func (c *Call) Output(size int64, head ...[]byte) (io.WriteCloser, error) {
	switch {
	case c.slot.oneshot:
		return nil, errors.New("assigner: Call.Output: a one-shot has no reply in parts: let the caller open a hit")
	case c.out != nil:
		return nil, errors.New("assigner: Call.Output was used in this call already: write all to the first one")
	case size < -1 || len(head) >= wire.MaxBodies:
		return nil, errors.New("assigner: Call.Output: size is a number of bytes or -1, and the head has less than 60 frames")
	case c.run.Err() != nil:
		return nil, c.run.Err()
	}
	return c.slot.output(c, uint64(size), head), nil
}

func (s *slot) output(c *Call, size uint64, head [][]byte) *output {
	if len(head) == 0 {
		head = [][]byte{nil}
	}
	c.out = newOutflow(c.Seq, size, s.from.maxBody.Load(), s.sendBlock)
	s.mu.Lock()
	if s.streams == nil {
		s.streams = &streams{in: make(map[uint32]*inflow)}
	}
	s.streams.out = c.out
	s.mu.Unlock()
	s.send(wire.Header{Type: wire.Reply, Flags: wire.More, Seq: c.Seq}, append([][]byte{wire.SizeFrame(size)}, head...)...)
	return &output{c, c.run.Done()}
}

// output is an outflow as an io.WriteCloser.
type output struct {
	call *Call
	done <-chan struct{}
}

// Write is io.Writer's.
func (w *output) Write(p []byte) (int, error) {
	if w.call.closed {
		return 0, io.ErrClosedPipe
	}
	n, err := w.call.out.write(w.done, w.call.run.Err, p)
	return n, w.failed(err)
}

// ReadFrom is io.ReaderFrom's: bytes are read straight into the memory that they are sent from.
func (w *output) ReadFrom(r io.Reader) (int64, error) {
	if w.call.closed {
		return 0, io.ErrClosedPipe
	}
	n, err := w.call.out.readFrom(w.done, w.call.run.Err, r)
	return n, w.failed(err)
}

// failed remembers why the body is not whole.
func (w *output) failed(err error) error {
	if stopped := w.call.run.Err(); err != nil && stopped != nil {
		err = stopped // which has ended the sending
	}
	if err != nil && w.call.broken == nil {
		w.call.broken = err
	}
	return err
}

// Close ends the body. Its last bytes are sent when the handler returns. The error says that bytes are missing.
func (w *output) Close() error {
	if !w.call.closed && w.call.broken == nil {
		w.call.broken = w.call.out.whole()
	}
	w.call.closed = true
	return w.call.broken
}

// replyRest sends the end of a reply in parts, or why it is not whole.
func (s *slot) replyRest(c *Call, last bool) {
	err := (&output{call: c}).Close()
	stopped := c.run.Err()
	switch {
	case err == nil:
	case stopped != nil:
		s.answerFailure(c.Seq, stopped, c.run, last)
		return
	default:
		s.leave(c.run)
		s.answerError(c.Seq, wire.ServiceError, wire.Unknown, "the service did not finish its reply: "+strings.TrimPrefix(err.Error(), "assigner: "), last)
		return
	}
	if !last {
		_ = c.out.finish(0)
		s.leave(c.run)
		return
	}
	s.endBy(func() {
		_ = c.out.finish(wire.Last)
		s.leave(c.run)
	})
}
