package assigner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// Reply is the answer to a call, its body in parts perhaps still on its way.
type Reply struct {
	Frames [][]byte // the head, which came first; the caller's
	// Body is what follows the head, to be read by one goroutine at a time; it is empty where all is in Frames. Read fails with an *Error when the rest
	// is lost: the end is io.EOF only when all of it has come. Close gives up what was not read, and cancels the call then.
	Body io.ReadCloser
	Size int64 // announced bytes of Body, -1 where the worker did not know
}

// Stream makes a call whose body or reply, or both, may be too large for memory. It returns when the reply begins; the call's context
// holds until the reply has been read, or closed. Request.Body is read by another goroutine until the call is over; one Read may still be under way then.
func (h *Hit) Stream(ctx context.Context, r Request) (*Reply, error) {
	p, a, err := h.exchange(ctx, r)
	if err != nil {
		return nil, err
	}
	if a.in == nil {
		return &Reply{Frames: a.frames, Body: noBody{}}, nil
	}
	return &Reply{Frames: a.frames, Body: h.bodyOf(ctx, p, a.in), Size: a.in.size()}, nil
}

// collect reads a reply that came in parts for a caller who wants it whole.
func (h *Hit) collect(ctx context.Context, p *pending, a answer) ([][]byte, error) {
	body := h.bodyOf(ctx, p, a.in)
	defer func() { _ = body.Close() }()
	limit := h.up.maxBody.Load()
	whole, err := io.ReadAll(io.LimitReader(body, limit+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(whole)) > limit:
		return nil, &Error{
			Status: wire.TooLarge, Outcome: Unknown, Service: h.service, Hit: h.handle,
			Text: fmt.Sprintf("the reply comes in parts and is larger than %d bytes: the call was cancelled in the middle of it: use Stream, and read it as it comes", limit),
		}
	}
	if len(a.frames) == 1 && len(a.frames[0]) == 0 {
		return [][]byte{whole}, nil
	}
	return append(a.frames, whole), nil
}

// replyBody is the body of a Reply.
type replyBody struct {
	inReader
	hit    *Hit
	call   *pending
	once   sync.Once
	detach func() bool
}

func (h *Hit) bodyOf(ctx context.Context, p *pending, in *inflow) *replyBody {
	b := &replyBody{inReader: inReader{flow: in}, hit: h, call: p}
	b.detach = context.AfterFunc(ctx, func() { b.abandon(h.up.name(ctxError(ctx), h.service, h.handle)) })
	return b
}

// Read is io.Reader's.
func (b *replyBody) Read(p []byte) (int, error) {
	n, err := b.inReader.Read(p)
	if errors.Is(err, io.EOF) {
		b.detach()
	}
	return n, err
}

// Close gives up what was not read. The worker is asked to stop.
func (b *replyBody) Close() error {
	b.detach()
	b.abandon(&Error{Status: wire.Cancelled, Outcome: Unknown, Text: "the reply's body was closed before its end", Service: b.hit.service, Hit: b.hit.handle})
	return nil
}

func (b *replyBody) abandon(why error) {
	b.once.Do(func() {
		if b.flow.fail(why) {
			b.hit.cancel(b.call)
		}
	})
}

// arriving is a reply that comes in parts.
type arriving struct {
	call *pending
	in   *inflow
}

// sendBody sends a call's body. It is a goroutine of its own, since the reply may begin before the body ends.
func (h *Hit) sendBody(ctx context.Context, p *pending, body io.Reader) {
	stopped := func() error { return ctx.Err() }
	_, err := p.out.readFrom(ctx.Done(), stopped, body)
	if err == nil {
		err = p.out.whole()
	}
	if err == nil {
		err = p.out.finish(0)
	}
	p.out.discard()
	if err == nil || p.out.ended() || ctx.Err() != nil {
		return // it is sent, or the call is over, or about to be
	}
	// Settled before the cancel goes out, whose answer would say less; delivered after it, since the caller may call again at once.
	mine := p.settled.CompareAndSwap(false, true)
	e := &Error{Status: wire.Cancelled, Outcome: Unknown, Text: "the call's body could not be read to its end: " + err.Error() + ": the call was cancelled", cause: err}
	h.failReply(p, e)
	h.cancel(p)
	if mine {
		h.up.deliver(p, answer{err: e})
	}
}

// failReply ends the reply to a call in the middle.
func (h *Hit) failReply(p *pending, err error) {
	h.mu.Lock()
	d := h.down
	h.mu.Unlock()
	if d != nil && d.call == p {
		d.in.fail(h.up.name(err, h.service, h.handle))
	}
}

// errOver stops the sending of a body whose call is over.
var errOver = errors.New("assigner: the call is over")

// outflow makes the way out for the body of a call. The lock is held.
func (h *Hit) outflow(seq uint32, size uint64) *outflow {
	return newOutflow(seq, size, h.up.maxBody.Load(), h.sendBlock)
}

// lock takes the hit's lock for a call, when no body of an earlier one is being sent any more.
func (h *Hit) lock(ctx context.Context) error {
	h.mu.Lock()
	for h.sending != nil && !h.sending.ended() {
		over := h.sending.over
		h.mu.Unlock()
		select {
		case <-over:
		case <-ctx.Done():
			return unstarted(ctx)
		}
		h.mu.Lock()
	}
	h.sending = nil
	return nil
}

// streamed takes an answer that begins a reply in parts, or ends one in the middle. It reports whether it was one. It runs on the loop.
func (h *Hit) streamed(m *wire.Message) bool {
	h.mu.Lock()
	d := h.down
	if d != nil && m.Header.Type == wire.Error && m.Header.Seq == d.call.seq {
		h.down = nil
		h.mu.Unlock()
		h.over(d, h.up.name(toAnswer(m).err, h.service, h.handle))
		if m.Header.Flags.Has(wire.Last) {
			h.end(wire.OK, 0, "the hit ended with its last call", nil)
		}
		return true
	}
	i := h.find(m.Header.Seq)
	if i < 0 || !m.Header.Flags.Has(wire.More) {
		h.mu.Unlock()
		return false
	}
	p := h.calls[i]
	h.calls = append(h.calls[:i], h.calls[i+1:]...)
	if h.res != nil {
		h.noteAnswer(m)
	}
	size, err := wire.ParseSize(wire.Reply, m.Frame(0))
	if err != nil {
		h.mu.Unlock()
		return h.up.settle(p, answer{err: &Error{Status: wire.BadFrame, Outcome: Unknown, Text: err.Error()}})
	}
	in := newInflow(p.seq, size, h.up.streamWindow(), func(arg uint32) {
		_ = h.send(&wire.Header{Type: wire.Credit, Seq: p.seq, Arg: arg})
	})
	h.down = &arriving{p, in}
	h.mu.Unlock()
	if !h.up.settle(p, answer{frames: m.Copy().Body[1:], in: in}) {
		in.fail(errOver)
		h.cancel(p)
		return true
	}
	in.begin()
	return true
}

// over ends a reply in parts: err is nil where all of it has come.
func (h *Hit) over(d *arriving, err error) {
	if err != nil {
		d.in.fail(err)
	}
	if d.call.out != nil {
		d.call.out.stop(errOver)
	}
}

// part takes a part of a reply, and reports whether the hit ends with it. It runs on the loop.
func (h *Hit) part(m *wire.Message) bool {
	h.mu.Lock()
	d := h.down
	h.mu.Unlock()
	if d == nil || d.call.seq != m.Header.Seq {
		return false // it was given up
	}
	last, wrong := d.in.take(m)
	if wrong != nil {
		d.in.fail(&Error{Status: wrong.Status, Outcome: Unknown, Text: wrong.Text, Service: h.service, Hit: h.handle})
		h.cancel(d.call)
		return false
	}
	if !last {
		return false
	}
	h.mu.Lock()
	h.down = nil
	h.mu.Unlock()
	h.over(d, nil)
	if m.Header.Flags.Has(wire.Last) {
		h.end(wire.OK, 0, "the hit ended with its last call", nil)
		return true
	}
	return false
}

// credited lets more of a call's body go. It runs on the loop.
func (h *Hit) credited(m *wire.Message) {
	h.mu.Lock()
	o := h.sending
	h.mu.Unlock()
	if o != nil && o.account.Seq == m.Header.Seq {
		o.credit(m.Header.Arg)
	}
}

// streamWindow is that of the replies of this broker.
func (u *uplink) streamWindow() uint64 { return windowOf(u.window.Load()) }
